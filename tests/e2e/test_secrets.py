"""A drill: a project full of secrets, the real server, the real runtime and the embedded model.

Every kind of secret lies in the project, half of them open, and somebody types in another file what
comes before each. No value is ever suggested, and none stands in the index's database, in the
runtime's memory or in a log. What is no secret is learned, so the drill could fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from editor import INLINE, Editor, File
from secret_kinds import EXCLUDE, GITIGNORE, KINDS, ORDINARY, OURS, SHAPES, Kind
from test_product import runtime_folder as runtime_folder
from test_product import runtimes, status, wait_until

from model_runtime.folders.native import EMBEDDED_FOLDER
from model_runtime.recall.recall import LineTokens
from model_runtime.text.tokenizer import Tokenizer

ENDS = {"python": "py", "go": "go", "shellscript": "sh", "json": "json", "yaml": "yaml"}
OPTIONS = {
    "completion": {"minimumConfidence": 0, "pause": "off", "maxNewTokens": 16},
    "exclude": EXCLUDE,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for kind in (*KINDS, *ORDINARY):
        path = folder / kind.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(kind.text)
    (folder / ".gitignore").write_text(GITIGNORE)
    (folder / ".codegeexignore").write_text(OURS)
    (folder / "myenv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def window(runtime_folder: Path, project: Path, cache: Path) -> Iterator[Editor]:
    """Its index is ready, and every second file of each kind is open."""
    with Editor(env={"CODEGEEX_CACHE_DIR": str(cache)}) as editor:
        folders = [{"uri": project.as_uri(), "name": "project"}]
        editor.initialize(INLINE, OPTIONS, workspaceFolders=folders)
        editor.encoding = "utf-16"
        editor.ready()
        for kind in (*KINDS[::2], ORDINARY[1]):
            editor.open((project / kind.path).as_uri(), kind.text, language_of(kind))
        editor.wait_notification(
            "codegeex/status", lambda it: it.get("index", {}).get("phase") == "ready"
        )
        # Texts go out once the editor is quiet; at least these do.
        told = len({*KINDS[::2]} & {*SHAPES}) + len(ORDINARY)
        wait_until(lambda: status()["remembered"]["documents"] >= told)
        yield editor


def language_of(kind: Kind) -> str:
    end = kind.path.rpartition(".")[2]
    return next((language for language, its in ENDS.items() if its == end), "plaintext")


def suggested(editor: Editor, project: Path, kind: Kind) -> str:
    """All that is suggested to somebody who types up to the value in a new file."""
    language = language_of(kind)
    uri = (project / "app" / f"written.{ENDS.get(language, 'txt')}").as_uri()
    editor.open(uri, "", language)
    file = File(editor, uri, "", "")
    for line in kind.typed.splitlines(keepends=True):
        file.type(line)
    texts = file.texts()
    file.close()
    return "\n".join(texts)


def test_no_secret_is_ever_suggested(window: Editor, project: Path) -> None:
    assert len(KINDS) >= 50
    assert all(kind.leaks_into(suggested(window, project, kind)) for kind in ORDINARY)
    leaked = [kind.name for kind in KINDS if kind.leaks_into(suggested(window, project, kind))]
    assert leaked == []


DOTENV = "DB_HOST=localhost\nDB_PASSWORD=tulip-Kx93" + "-orchard\n"
TYPED = {
    ".env.example": "DB_HOST=localhost\nDB_PASSWORD=",
    "compose.yaml": "services:\n  db:\n    environment:\n      DB_PASSWORD: ",
    "start.sh": "export DB_HOST=localhost\nexport DB_PASSWORD=",
    "main.py": "DB_HOST = 'localhost'\nDB_PASSWORD = '",
}


@pytest.mark.parametrize("closed", [False, True])
def test_a_password_next_to_its_template(
    runtime_folder: Path, tmp_path: Path, closed: bool
) -> None:
    """At the default threshold and without an index, from a file that is open, or was."""
    with Editor() as editor:
        editor.begin(options={"index": {"enabled": False}})
        editor.ready()
        editor.open((tmp_path / ".env").as_uri(), DOTENV, "properties")
        (tmp_path / ".env").write_text(DOTENV)
        # The runtime has heard of what it is told of once it has heard of this.
        editor.open("untitled:last", "label_of_last = quinfarblez\n", "plaintext")
        wait_until(lambda: status()["remembered"]["documents"] > 0)
        if closed:
            File(editor, (tmp_path / ".env").as_uri(), DOTENV, "").close()
        for name, text in TYPED.items():
            uri = (tmp_path / name).as_uri()
            editor.open(uri, "", "plaintext")
            file = File(editor, uri, "", "")
            file.type(text)
            found = [*file.texts(), *file.texts(invoked=True)]
            assert not any("Kx93" in one or "orchard" in one for one in found), name


def test_none_stands_in_the_database_of_the_index(window: Editor, cache: Path) -> None:
    written = [path for path in cache.rglob("*") if path.is_file()]
    texts = "".join(path.read_bytes().decode("latin-1") for path in written)
    assert ORDINARY[0].leaks_into(texts)
    assert [kind.name for kind in KINDS if kind.leaks_into(texts)] == []


def test_none_is_remembered_by_the_runtime(window: Editor, runtime_folder: Path) -> None:
    """Its process is searched for the texts and for their tokens."""
    [runtime] = runtimes(runtime_folder)
    memory = dump(runtime)
    lines = LineTokens(Tokenizer.from_json(EMBEDDED_FOLDER / "tokenizer.json"))
    assert held(memory, lines, ORDINARY[0])
    assert held(memory, lines, ORDINARY[1])
    assert [kind.name for kind in KINDS if held(memory, lines, kind)] == []


def dump(process: psutil.Process) -> bytes:
    """What the process has written into its memory."""
    pieces = []
    try:
        with (
            open(f"/proc/{process.pid}/maps") as maps,
            open(f"/proc/{process.pid}/mem", "rb") as it,
        ):
            for line in maps:
                begin, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()  # type: ignore[union-attr]
                if rights.startswith("rw") and "[v" not in line:
                    it.seek(int(begin, 16))
                    pieces.append(it.read(int(end, 16) - int(begin, 16)))
    except OSError:
        pytest.skip("this system doesn't show another process's memory")
    return b"".join(pieces)


def held(memory: bytes, lines: LineTokens, kind: Kind) -> bool:
    """Whether the value, or a line of it, stands there as text or as the memory's tokens."""
    parts = [part for part in kind.value.split("\n") if "KEY--" not in part][:2]
    return any(part.encode() in memory or tokens(lines, kind, part) in memory for part in parts)


def tokens(lines: LineTokens, kind: Kind, part: str) -> bytes:
    """Some of those that the middle of the value becomes on its line."""
    [line] = [line for line in kind.text.splitlines(keepends=True) if part in line]
    begin = len(lines.encode(line[: line.index(part)]))
    ids = lines.encode(line)[begin + 1 : begin + 6]
    return np.array(ids, np.int32).tobytes()


def test_none_stands_in_a_log(window: Editor, runtime_folder: Path) -> None:
    logs = [*runtime_folder.glob("*.log")]
    assert logs
    texts = "".join(path.read_text("utf-8") for path in logs)
    assert [kind.name for kind in (*KINDS, *ORDINARY) if kind.leaks_into(texts)] == []
    assert status()["remembered"]["documents"]
