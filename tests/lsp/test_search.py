"""codegeex/search and snippets through the real server, index process and all."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from editor import INLINE, Editor
from fake_runtime import FakeRuntime, counted_letters
from searching import indexed, remembered, search, until
from wire import ROOT, Json, WireError

from model_runtime.wire.protocol import Embed, Embedding, Failure, Priority, Reason

OPTIONS = {"completion": {"pause": "off"}}
WHOLE = {"range": {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "reader.py").write_text(
        "import os\n\n\nclass Reader:\n    def read_header(self, stream):\n"
        '        """The first bytes."""\n        return stream.read(4)\n'
    )
    (folder / "app.py").write_text("from lib.reader import Reader\n\n")
    return folder


Opened = Callable[..., Editor]


@pytest.fixture
def opened(fake: FakeRuntime, editors: Callable[..., Editor], project: Path, cache: Path) -> Opened:
    """A window of the project."""

    def begin(options: Any = None, **capabilities: Any) -> Editor:
        window = editors()
        window.initialize({**INLINE, **capabilities}, options or OPTIONS, rootUri=project.as_uri())
        window.ready()
        return window

    return begin


def test_a_sentence_finds_a_place(opened: Opened, project: Path) -> None:
    window = opened()
    status = indexed(window)
    assert (status["index"]["files"], status["index"]["leftOut"]) == (2, {})
    place = search(window, "read the header of a stream", limit=3)[0]
    assert place["uri"] == (project / "lib" / "reader.py").as_uri()
    assert place["path"] == "lib/reader.py"
    assert place["range"] == {
        "start": {"line": 4, "character": 0},
        "end": {"line": 7, "character": 0},
    }
    assert place["title"] == "class Reader: def read_header(self, stream):"
    assert place["snippet"].startswith("    def read_header")
    assert place["score"] > 0


def test_a_search_in_a_folder_and_as_a_command(opened: Opened, project: Path) -> None:
    window = opened()
    indexed(window)
    assert {place["path"] for place in search(window, "reader")} == {"app.py", "lib/reader.py"}
    for path in ("lib", "lib/reader.py", (project / "lib").as_uri()):
        assert {it["path"] for it in search(window, "reader", path=path)} == {"lib/reader.py"}
    arguments = [{"query": "read_header", "limit": 1}]
    done = window.call(
        "workspace/executeCommand", {"command": "codegeex.search", "arguments": arguments}
    )
    assert done["places"][0]["path"] == "lib/reader.py"


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"query": "   "}, "no words"),
        ({"query": "+-*"}, "no words"),
        ({"query": "a", "limit": 0}, "limit"),
        ({"query": "a", "limit": 1000}, "limit"),
        ({"query": 7}, "query"),
        ({}, "query"),
    ],
)
def test_a_bad_query(lasting_editor: Editor, params: Json, word: str) -> None:
    with pytest.raises(WireError, match=word) as error:
        lasting_editor.call("codegeex/search", params)
    assert error.value.code == -32602


def test_without_a_folder_or_turned_off(lasting_editor: Editor, opened: Opened) -> None:
    with pytest.raises(WireError, match="No folder is open"):
        search(lasting_editor, "anything")
    window = opened({"index": {"enabled": False}})
    with pytest.raises(WireError, match=r"codegeex\.index\.enabled"):
        search(window, "anything")


def test_changed_files_are_found(opened: Opened, project: Path) -> None:
    window = opened()
    indexed(window)
    path = project / "lib" / "writer.py"
    path.write_text("def write_footer():\n    pass\n")
    event = {"uri": path.as_uri(), "type": 1}
    window.notify("workspace/didChangeWatchedFiles", {"changes": [event]})
    assert until(lambda: search(window, "write_footer"))[0]["path"] == "lib/writer.py"
    path.unlink()
    window.notify("workspace/didChangeWatchedFiles", {"changes": [{**event, "type": 3}]})
    until(lambda: not search(window, "write_footer"))


def test_the_client_is_asked_to_watch(opened: Opened) -> None:
    able = {"didChangeWatchedFiles": {"dynamicRegistration": True}}
    window = opened(workspace=able)
    asked = window.wait_notification("client/registerCapability")["registrations"][0]
    assert asked["method"] == "workspace/didChangeWatchedFiles"
    patterns = [watcher["globPattern"] for watcher in asked["registerOptions"]["watchers"]]
    assert "py," in patterns[0]


def test_an_open_document_is_found_as_it_is_in_the_editor(opened: Opened, project: Path) -> None:
    window = opened()
    indexed(window)
    uri = (project / "app.py").as_uri()
    window.open(uri, "def unsaved_thing():\n    pass\n")
    assert until(lambda: search(window, "unsaved_thing"))[0]["uri"] == uri
    window.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    until(lambda: not search(window, "unsaved_thing"))


def test_half_a_character_does_no_harm(opened: Opened, project: Path) -> None:
    window = opened()
    window.open((project / "app.py").as_uri(), "def smile():\n    return '\ud83d'\n")
    indexed(window)
    until(lambda: search(window, "smile"))
    assert search(window, "smile \ud83d", path="\ud83d") == []
    assert [it["path"] for it in search(window, "smile")] == ["app.py"]


def test_snippets_of_other_files_come_with_a_completion_and_stay(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    window = opened()
    indexed(window)
    (project / "lib" / "other.py").write_text("def header_of(stream):\n    return stream\n")
    uri = (project / "app.py").as_uri()
    text = "from lib.reader import Reader\nheader = Reader().read_header(stream)\n"
    window.open(uri, text)

    def ask(column: int) -> None:
        place = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": column}}
        window.call("textDocument/inlineCompletion", {**place, "context": {"triggerKind": 2}})

    version = 2
    change = {"range": {"start": {"line": 2, "character": 0}, "end": {"line": 2, "character": 0}}}
    for _ in range(100):
        window.change(uri, version, {**change, "text": "z"})
        ask(version - 1)
        version += 1
        if fake.requests[-1].snippets:
            break
    chosen = fake.requests[-1].snippets
    assert [(one.path, one.text[:9]) for one in chosen if "read_header" in one.text] == [
        ("lib/reader.py", "    def r")
    ]
    assert all(one.path != "app.py" for one in chosen)
    assert (fake.requests[-1].repository, fake.requests[-1].path) == (project.name, "app.py")
    event = {"uri": (project / "lib" / "other.py").as_uri(), "type": 1}
    window.notify("workspace/didChangeWatchedFiles", {"changes": [event]})
    until(lambda: search(window, "header_of"))
    for _ in range(3):
        window.change(uri, version, {**change, "text": "z"})
        ask(version - 1)
        version += 1
    assert fake.requests[-1].snippets == chosen


def test_an_index_that_is_turned_off_is_not_used(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    window = opened()
    uri = (project / "app.py").as_uri()
    window.open(uri, "header = Reader().read_header(stream)\n", language="python")
    indexed(window)
    until(lambda: "reader.py" in remembered(fake, project))

    versions = itertools.count(2)
    here = {"line": 1, "character": 0}

    def ask() -> int:
        """How many snippets come with a completion of one letter more."""
        version = next(versions)
        window.change(uri, version, {"range": {"start": here, "end": here}, "text": "z"})
        place = {"textDocument": {"uri": uri}, "position": here | {"character": version - 1}}
        window.call("textDocument/inlineCompletion", {**place, "context": {"triggerKind": 2}})
        return len(fake.requests[-1].snippets)

    until(ask)
    window.configure({**OPTIONS, "index": {"enabled": False}})
    assert ask() == 0
    until(lambda: remembered(fake, project) == {"app.py"})


def test_an_index_that_is_turned_on_later_knows_what_is_open(opened: Opened, project: Path) -> None:
    able = {"didChangeWatchedFiles": {"dynamicRegistration": True}}
    window = opened({**OPTIONS, "index": {"enabled": False}}, workspace=able)
    window.open((project / "app.py").as_uri(), "def unsaved_thing():\n    pass\n")
    window.configure({**OPTIONS, "index": {"enabled": True}})
    window.wait_notification("client/registerCapability")
    assert until(lambda: search(window, "unsaved_thing"))[0]["path"] == "app.py"


def test_the_index_ends_with_the_server(opened: Opened) -> None:
    window = opened()
    indexed(window)
    children = psutil.Process(window.process.pid).children()
    assert len(children) == 1
    assert window.shutdown() == 0
    assert not children[0].is_running()


def test_the_index_ends_when_the_server_is_killed(opened: Opened) -> None:
    window = opened()
    indexed(window)
    [child] = psutil.Process(window.process.pid).children()
    window.kill()
    child.wait(20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it whatever it does")
def test_an_index_that_is_held_up_ends_when_the_server_is_killed(opened: Opened) -> None:
    window = opened()
    indexed(window)
    [child] = psutil.Process(window.process.pid).children()
    child.suspend()
    window.kill()
    child.wait(20)


def test_nothing_is_written_outside_the_cache(opened: Opened, project: Path, cache: Path) -> None:
    before = sorted(project.rglob("*"))
    window = opened()
    indexed(window)
    opened_files = {
        Path(file.path)
        for child in psutil.Process(window.process.pid).children()
        for file in child.open_files()
        if "r" not in file.mode.replace("r+", "+")
    }
    assert opened_files
    assert all(path.is_relative_to(cache) for path in opened_files)
    assert window.shutdown() == 0
    assert sorted(project.rglob("*")) == before


def test_a_cache_that_cannot_be_written_is_told_once(
    opened: Opened, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    window = opened()
    window.request("codegeex/search", {"query": "anything"})
    status = window.wait_notification(
        "codegeex/status", lambda it: it["index"]["phase"] == "failed"
    )
    assert "codegeex.index.enabled" in status["index"]["message"]
    with pytest.raises(WireError, match="can't be kept"):
        search(window, "anything")
    assert len([it for it in window.told() if "index" in it]) == 1


# --- the process alone --------------------------------------------------------------------------


@pytest.fixture
def process(cache: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "codegeex_lsp.index"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as index:
        yield index
        index.kill()


def say(process: subprocess.Popen[bytes], *messages: Json) -> None:
    assert process.stdin is not None
    process.stdin.write(b"".join(json.dumps(it).encode() + b"\n" for it in messages))
    process.stdin.flush()


def hear(process: subprocess.Popen[bytes]) -> Iterator[Json]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def begin(root: Path) -> Json:
    bounds = {"files": 10_000, "file_bytes": 100_000, "bytes": 10**8}
    return {"do": "begin", "roots": [str(root)], "bounds": bounds}


def test_questions_are_answered_while_it_indexes(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(1500):
        (folder / f"f{number}.py").write_text(f"def function_{number}():\n    pass\n" * 20)
    question = {"do": "search", "question": "function", "limit": 1, "under": ""}
    questions = ({**question, "id": 1}, {**question, "id": 2})
    say(process, begin(folder), *questions, {"do": "cancel", "id": 2})
    heard = []
    for message in hear(process):
        heard.append(message)
        if message.get("phase") == "ready":
            break
    answers = {it["id"]: it for it in heard if "id" in it}
    assert "places" in answers[1]
    assert answers[2] == {"id": 2, "gone": True}
    assert heard[-1]["files"] == 1500


def test_questions_are_answered_while_many_files_change(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """And while many go: a folder is told of by its own name."""
    folder = tmp_path / "large"
    (folder / "gone").mkdir(parents=True)
    paths = [folder / f"f{number:03}.py" for number in range(200)]
    for path in (*paths, *(folder / "gone" / path.name for path in paths)):
        path.write_text("def before():\n    pass\n")
    say(process, begin(folder))
    messages = hear(process)
    next(it for it in messages if it.get("phase") == "ready")
    for path in paths:
        path.write_text("def behind():\n    pass\n")
    shutil.rmtree(folder / "gone")

    def found(number: int, *first: Json, question: str) -> int:
        ask = {"do": "search", "id": number, "question": question, "limit": 1000, "under": ""}
        say(process, *first, ask)
        return len({path for path, *_ in next(it for it in messages if "id" in it)["places"]})

    changed = {"do": "changed", "paths": list(map(str, paths))}
    assert found(1, changed, question="behind") < 200
    assert found(2, question="before") >= 200
    gone = {"do": "changed", "paths": [str(folder / "gone")]}
    until(lambda: found(3, question="behind") == 200)
    assert found(4, gone, question="before") > 0
    until(lambda: found(5, question="before") == 0)


def test_it_ends_in_the_middle_of_its_work(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(1500):
        (folder / f"f{number}.py").write_text("def function():\n    pass\n" * 50)
    say(process, begin(folder))
    assert next(hear(process))["phase"] == "indexing"
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0


# --- with an embedding model --------------------------------------------------------------------


@pytest.fixture
def embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGEEX_EMBEDDING_MODEL", "letters")


def told(window: Editor, query: str) -> Json:
    answer: Json = window.call("codegeex/search", {"query": query})
    return answer


@pytest.mark.usefixtures("embedding")
def test_vectors_find_what_words_do_not(opened: Opened, fake: FakeRuntime, project: Path) -> None:
    window = opened()
    window.open((project / "app.py").as_uri(), "from lib.reader import Reader\n\n")
    indexed(window)
    until(lambda: "note" not in told(window, "headers"))
    # The letters of read_header and none of its words.
    places = told(window, "deadhearer_fedh_slatef_stream_rentrue_e")["places"]
    assert places[0]["path"] == "lib/reader.py"
    batches = [text for one in fake.embeds if one.priority == Priority.BATCH for text in one.texts]
    assert sum("read_header" in text for text in batches) == 1
    window.change((project / "app.py").as_uri(), 2, WHOLE | {"text": "def jjjj():\n    kkkk()\n"})
    until(lambda: any("jjjj" in text for one in fake.embeds for text in one.texts))


@pytest.mark.usefixtures("embedding")
def test_another_model_is_never_mixed_in(opened: Opened, fake: FakeRuntime) -> None:
    window = opened()
    indexed(window)
    until(lambda: "note" not in told(window, "headers"))
    known = len(fake.embeds)
    fake.embedding = lambda request: dataclasses.replace(counted_letters(request), model="other")
    assert "Not all places have a vector yet" in told(window, "headers")["note"]
    fake.drop_clients()
    until(lambda: "note" not in told(window, "headers"))
    again = [text for one in fake.embeds[known:] for text in one.texts]
    assert sum("read_header" in text for text in again) == 1


@pytest.mark.usefixtures("embedding")
def test_a_model_that_becomes_another_meanwhile_begins_anew(
    opened: Opened, fake: FakeRuntime
) -> None:
    """It tells itself as the old one once more, to the question that has no text."""

    def embedding(request: Embed) -> Embedding:
        made = counted_letters(request)
        return dataclasses.replace(made, model="old") if not request.texts else made

    fake.embedding = embedding
    window = opened()
    indexed(window)
    until(lambda: any(one.texts for one in fake.embeds))
    time.sleep(0.5)
    # Once at each change of the index's state at most, and not over and over.
    assert sum("read_header" in text for one in fake.embeds for text in one.texts) < 5


@pytest.mark.usefixtures("embedding")
def test_words_alone_and_why(opened: Opened, fake: FakeRuntime) -> None:
    fake.embedding = lambda request: Failure(request.id, Reason.LOAD_FAILED, "It is no encoder.")
    window = opened()
    indexed(window)
    answer = until(lambda: (it := told(window, "read_header")) and "encoder" in it["note"] and it)
    assert answer["note"] == "It is no encoder. These places were found by words alone."
    assert answer["places"][0]["path"] == "lib/reader.py"


def test_without_an_embedding_model_nothing_is_embedded(opened: Opened, fake: FakeRuntime) -> None:
    window = opened()
    indexed(window)
    assert "note" not in told(window, "read_header")
    assert fake.embeds == []


# --- what the runtime's memory is told of files that nobody opened --------------------------------


def test_files_near_an_open_document_are_remembered(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    (project / "lib" / "writer.py").write_text("class Writer: ...\n")
    (project / "lib" / "writer.go").write_text("package lib\n")
    window = opened()
    uri = (project / "lib" / "new.py").as_uri()
    window.open(uri, "from lib", language="python")
    expected = {"app.py", "reader.py", "writer.py", "new.py"}
    until(lambda: remembered(fake, project) == expected)
    assert fake.remembered[(project / "lib" / "writer.py").as_uri()] == "class Writer: ...\n"
    (project / "lib" / "writer.py").unlink()
    change = {"uri": (project / "lib" / "writer.py").as_uri(), "type": 3}
    window.notify("workspace/didChangeWatchedFiles", {"changes": [change]})
    until(lambda: remembered(fake, project) == expected - {"writer.py"})


def test_neighbours_that_may_be_ignored_now_are_forgotten(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    window = opened()
    window.open((project / "app.py").as_uri(), "import this", language="python")
    until(lambda: remembered(fake, project) == {"app.py", "reader.py"})
    (project / ".codegeexignore").write_text("reader.py\n")
    change = {"uri": (project / ".codegeexignore").as_uri(), "type": 1}
    window.notify("workspace/didChangeWatchedFiles", {"changes": [change]})
    until(lambda: remembered(fake, project) == {"app.py"})


def test_a_neighbour_that_is_opened_counts_with_the_editors_text(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    window = opened()
    window.open((project / "app.py").as_uri(), "import this", language="python")
    until(lambda: "reader.py" in remembered(fake, project))
    spelt = (project / "lib" / "reader.py").as_uri().replace("reader", "%72eader")
    window.open(spelt, "class Other: ...\n", language="python")
    until(lambda: spelt in fake.remembered)
    assert (project / "lib" / "reader.py").as_uri() not in fake.remembered


def test_without_the_index_nothing_but_open_documents_is_remembered(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    window = opened({**OPTIONS, "index": {"enabled": False}})
    window.open((project / "app.py").as_uri(), "import this", language="python")
    until(lambda: remembered(fake, project))
    assert remembered(fake, project) == {"app.py"}


def test_neighbours_in_a_language_that_is_disabled_are_forgotten_until_it_is_enabled(
    opened: Opened, fake: FakeRuntime, project: Path
) -> None:
    window = opened()
    window.open((project / "app.py").as_uri(), "import this", language="python")
    until(lambda: remembered(fake, project) == {"app.py", "reader.py"})
    window.configure({"codegeex": {"completion": {"disabledLanguages": ["python"]}}})
    until(lambda: not remembered(fake, project))
    window.configure({"codegeex": {"completion": {"disabledLanguages": []}}})
    until(lambda: remembered(fake, project) == {"app.py", "reader.py"})
