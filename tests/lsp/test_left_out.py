"""What is left out: no suggestion by itself, never remembered, and secrets in no message at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from editor import Editor, File
from fake_runtime import FakeRuntime, candidates
from wire import WireError, at

from model_runtime.wire.protocol import Generate

Editors = Callable[..., Editor]

PLAIN = "# what was written here\nlabel = quinfarble\n"
# Not as a whole, so that no scanner of this repository takes them for real.
TOKEN = "ghp_" + "x7Kq2mWd9RtZ" * 3
PASSWORD = "tulip-Kx93" + "-orchard"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{'c9VqX2' * 10}\n{'hT4bNz' * 10}\n"
KEY_END = "-----END RSA PRIVATE KEY-----"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("private", "drafts", "vault", "app", "myenv/bin"):
        (folder / name).mkdir(parents=True)
    (folder / ".gitignore").write_text("private/\n")
    (folder / ".codegeexignore").write_text("drafts/*\n")
    (folder / "myenv" / "pyvenv.cfg").write_text("")
    return folder


@pytest.fixture
def window(fake: FakeRuntime, editors: Editors, project: Path) -> Editor:
    """Without an index: what is left out doesn't depend on it."""
    editor = editors()
    folders = [{"uri": project.as_uri(), "name": "project"}]
    options = {"index": {"enabled": False}, "exclude": ["vault", "**/*.{old,bak}.py"]}
    editor.initialize({}, options, workspaceFolders=folders)
    editor.ready()
    return editor


def opened(editor: Editor, uri: str, text: str = PLAIN, language: str = "python") -> File:
    editor.open(uri, text, language)
    return File(editor, uri, text, "")


def until_told(fake: FakeRuntime, editor: Editor, uri: str = "file:///else/last.py") -> None:
    """Until the runtime has heard of all documents that were opened before."""
    opened(editor, uri)
    fake.wait(lambda it: uri in it.remembered)


LEFT_OUT = {
    ".env": "name",
    ".env.local": "name",
    "app/secrets.py": "name",
    "app/id_rsa": "name",
    ".aws/credentials": "name",
    "private/notes.py": "ignore file",
    "drafts/notes.py": "ignore file",
    "vault/deep/notes.py": "codegeex.exclude",
    "app/notes.old.py": "codegeex.exclude",
    "myenv/bin/tool.py": "environment",
    "app/.venv/lib/x.py": "environment",
    "app/site-packages/x/y.py": "environment",
}


@pytest.mark.parametrize("path", LEFT_OUT)
def test_nothing_is_suggested_by_itself_and_nothing_remembered(
    fake: FakeRuntime, window: Editor, project: Path, path: str
) -> None:
    file = opened(window, (project / path).as_uri())
    assert file.ask() == []
    why = file.why()
    assert why["reason"] == "left_out"
    assert LEFT_OUT[path] in why["message"]
    assert file.texts(invoked=True) == ["answer()"]
    assert [request.snippets for request in fake.requests] == [()]
    file.type("more = 1\n")
    until_told(fake, window)
    assert file.uri not in fake.remembered


ADMITTED = [
    ".env.example",
    "app/notes.py",
    "app/secretary.py",
    "private.py",
    "app/old.py",
    "env.py",
]


@pytest.mark.parametrize("path", ADMITTED)
def test_their_neighbours_by_name_are_as_they_were(
    fake: FakeRuntime, window: Editor, project: Path, path: str
) -> None:
    file = opened(window, (project / path).as_uri())
    assert file.texts() == ["answer()"]
    fake.wait(lambda it: file.uri in it.remembered)


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:.env",
        "untitled:/else/.env",
        "git:/else/.env?%7B%22ref%22%3A%22HEAD%22%7D",
        "vscode-notebook-cell:{project}/private/book.ipynb#W0sZmlsZQ%3D%3D",
        "file://{project}/%2Eenv",
        "file://{project}/app/../private/notes.py",
    ],
)
def test_any_kind_of_uri_is_judged(
    fake: FakeRuntime, window: Editor, project: Path, uri: str
) -> None:
    file = opened(window, uri.format(project=project))
    assert file.ask() == []
    assert file.reason() == "left_out"
    until_told(fake, window)
    assert file.uri not in fake.remembered


def test_a_link_is_what_it_leads_to(fake: FakeRuntime, window: Editor, project: Path) -> None:
    (project / ".env").write_text(PLAIN)
    (project / "app" / "notes.py").symlink_to(project / ".env")
    file = opened(window, (project / "app" / "notes.py").as_uri())
    assert file.ask() == []
    assert file.reason() == "left_out"


def test_without_a_folder_a_files_own_repository_says_what_is_ignored(
    fake: FakeRuntime, editor: Editor, project: Path
) -> None:
    (project / ".git").mkdir()
    file = opened(editor, (project / "private" / "notes.py").as_uri())
    assert file.ask() == []
    assert "ignore file" in file.why()["message"]


def test_an_ignored_folder_that_was_opened_itself_is_served(
    fake: FakeRuntime, editors: Editors, project: Path
) -> None:
    editor = editors()
    folder = project / "private"
    editor.initialize({}, None, workspaceFolders=[{"uri": folder.as_uri(), "name": "private"}])
    editor.ready()
    assert opened(editor, (folder / "notes.py").as_uri()).texts() == ["answer()"]


@pytest.mark.parametrize("language", ["dotenv", "plaintext"])
def test_a_new_document_that_holds_secrets_only(
    fake: FakeRuntime, window: Editor, language: str
) -> None:
    text = f"DB_HOST=localhost\nDB_PASSWORD={PASSWORD}\n"
    file = opened(window, "untitled:Untitled-1", text, language)
    assert file.ask() == []
    assert file.reason() == "left_out"
    until_told(fake, window)
    assert file.uri not in fake.remembered


# --- while it is open ---------------------------------------------------------------------------


def changed(editor: Editor, path: Path) -> None:
    changes = [{"uri": path.as_uri(), "type": 2}]
    editor.notify("workspace/didChangeWatchedFiles", {"changes": changes})


def test_an_ignore_file_that_names_it_now_makes_it_forgotten(
    fake: FakeRuntime, window: Editor, project: Path
) -> None:
    file = opened(window, (project / "app" / "notes.py").as_uri())
    closed = opened(window, (project / "app" / "closed.py").as_uri())
    fake.wait(lambda it: {file.uri, closed.uri} <= it.remembered.keys())
    closed.close()
    (project / ".gitignore").write_text("app/\n")
    changed(window, project / ".gitignore")
    fake.wait(lambda it: not {file.uri, closed.uri} & it.remembered.keys())
    assert file.ask() == []
    assert file.reason() == "left_out"
    (project / ".gitignore").write_text("")
    changed(window, project / ".gitignore")
    fake.wait(lambda it: file.uri in it.remembered)
    assert file.texts() == ["answer()"]


def test_a_setting_that_names_it_now_makes_it_forgotten(
    fake: FakeRuntime, window: Editor, project: Path
) -> None:
    file = opened(window, (project / "app" / "notes.py").as_uri())
    closed = opened(window, (project / "app" / "closed.py").as_uri())
    fake.wait(lambda it: {file.uri, closed.uri} <= it.remembered.keys())
    closed.close()
    window.configure({"exclude": ["app/"]})
    fake.wait(lambda it: not {file.uri, closed.uri} & it.remembered.keys())
    assert file.ask() == []
    window.configure({"exclude": []})
    fake.wait(lambda it: file.uri in it.remembered)


def test_the_users_own_file_excludes_for_all_editors(
    fake: FakeRuntime, editors: Editors, user: Path
) -> None:
    config = user / "config.toml"
    before = config.read_text()
    config.write_text(before + 'exclude = ["/else/kept/**"]\n')
    try:
        editor = editors()
        editor.begin(options={"exclude": []})
        editor.ready()
        file = opened(editor, "file:///else/kept/deep/notes.py")
        assert file.ask() == []
        assert "codegeex.exclude" in file.why()["message"]
        assert editor.told() == []
    finally:
        config.write_text(before)


def test_a_glob_of_a_projects_settings_takes_no_time(fake: FakeRuntime, editors: Editors) -> None:
    editor = editors()
    editor.begin(options={"exclude": ["*a" * 60 + "b", "{a,b}" * 40, "**/" * 60 + "x", "{" * 999]})
    editor.ready()
    assert opened(editor, f"file:///else/{'a' * 200}/{'a' * 200}.py").texts() == ["answer()"]


# --- secrets inside a text ----------------------------------------------------------------------


def test_a_file_with_a_token_is_served_without_it(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file(f'import os\n\nTOKEN = "{TOKEN}"\npassword = "{PASSWORD}"\n\nclient = ')
    assert file.texts() == ["answer()"]
    text = 'import os\n\nTOKEN = ""\npassword = ""\n\nclient = '
    assert fake.requests[0].prefix == text
    fake.wait(lambda it: it.remembered.get(file.uri) == text)


def test_a_secret_that_is_typed_is_never_told_of(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file('import os\nTOKEN = "')
    fake.wait(lambda it: file.uri in it.remembered)
    file.type(TOKEN[:20])
    fake.wait(lambda it: it.remembered[file.uri] == 'import os\nTOKEN = "')
    file.type(TOKEN[20:])
    assert file.ask() == []
    assert file.reason() == "in_secret"
    assert file.ask(invoked=True) == []
    file.type('"\n')
    assert file.texts() == ["answer()"]
    fake.wait(lambda it: it.remembered[file.uri] == 'import os\nTOKEN = ""\n')
    assert all(TOKEN[:20] not in request.prefix for request in fake.requests)


@pytest.mark.parametrize("lines_above", [0, 40])
def test_a_private_key_above_or_around_the_cursor(
    fake: FakeRuntime, editor: Editor, lines_above: int
) -> None:
    key = KEY + f"{'Zq8LmR' * 10}\n" * lines_above
    file = editor.file(f"x = 1\nKEY = '''{key}{KEY_END}'''\ny = ‸\n")
    assert file.texts(invoked=True) == ["answer()"]
    [request] = fake.requests
    assert "Zq8LmR" not in request.prefix
    assert "hT4bNz" not in request.prefix
    inside = editor.file(f"KEY = '''{key}‸{key}{KEY_END}'''\n")
    inside.ask(invoked=True)
    for request in fake.requests[1:]:
        assert "hT4bNz" not in request.prefix + request.suffix


def test_the_actions_prompts_hold_no_secret(fake: FakeRuntime, editor: Editor) -> None:
    fake.answer = lambda request: candidates("made()")
    text = f'def call():\n    token = "{TOKEN}"\n    return token\n'
    file = editor.file(text, name="a.py")
    area = {"start": at(0, 0), "end": at(3, 0)}
    for method in ("translate", "explain", "docstring", "summarise", "generate"):
        params = {"textDocument": {"uri": file.uri}, "range": area, "instruction": f"use {TOKEN}"}
        try:
            editor.call(f"codegeex/{method}", params)
        except WireError:
            continue  # an answer that is of no use to this action
    editor.call("codegeex/candidates", file.place())
    assert len(fake.requests) >= 6
    for request in fake.requests:
        assert TOKEN not in text_of(request), request.task


def text_of(request: Generate) -> str:
    quoted = "".join(one.text for one in request.snippets)
    return request.prefix + request.suffix + request.code + request.instruction + quoted


def test_lines_and_positions_stay(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file(f"KEY = '''{KEY}{KEY_END}'''\r\nb = ‸")
    [item] = file.ask(invoked=True)
    assert item["range"]["start"] == at(4, 4)
    fake.wait(lambda it: it.remembered.get(file.uri, "").count("\n") == 4)
