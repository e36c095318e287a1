"""textDocument/inlineCompletion through the real server process, with a fake runtime behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from editor import INLINE, Editor, File
from fake_runtime import FakeRuntime, candidates
from wire import Json, WireError, at, change_at

Editors = Callable[..., Editor]


def insertion(text: str, line: int, character: int) -> Json:
    place = {"line": line, "character": character}
    return {"insertText": text, "range": {"start": place, "end": place}}


# --- what is offered and asked ------------------------------------------------------------------


def test_it_is_offered(fake: FakeRuntime, editors: Editors) -> None:
    assert editors().begin()["inlineCompletionProvider"] is not None


def test_automatic_wants_one_quick_line(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file("x = 1\ny = ‸\n")
    assert file.ask() == [insertion("answer()", 1, 4)]
    request = fake.requests[0]
    assert (request.candidates, request.max_lines, request.temperature) == (1, 1, 0.0)
    assert (request.prefix, request.suffix) == ("x = 1\ny = ", "\n")
    assert (request.language, request.document) == ("Python", file.uri)


def test_invoked_wants_several_longer_ones(fake: FakeRuntime, editors: Editors) -> None:
    fake.answer = lambda request: candidates("one()", "two()", "one()", "three()")
    editor = editors()
    editor.begin(options={"completion": {"maxLines": 5, "maxCandidates": 4, "temperature": 0.5}})
    editor.ready()
    file = editor.file("y = ‸")
    expected = [insertion(text, 0, 4) for text in ("one()", "two()", "three()")]
    assert file.ask(invoked=True) == expected
    request = fake.requests[0]
    assert (request.candidates, request.max_lines, request.temperature) == (4, 5, 0.5)


def test_a_single_invoked_one_does_not_vary(fake: FakeRuntime, editors: Editors) -> None:
    editor = editors()
    editor.begin(options={"completion": {"maxCandidates": 1}})
    editor.ready()
    assert editor.file("y = ‸").ask(invoked=True)
    request = fake.requests[0]
    assert (request.candidates, request.max_lines, request.temperature) == (1, 8, 0.0)


@pytest.mark.parametrize(("encoding", "units"), [("utf-8", 19), ("utf-16", 13), ("utf-32", 12)])
def test_positions_count_the_clients_units(
    fake: FakeRuntime, editors: Editors, encoding: str, units: int
) -> None:
    editor = editors()
    offered = editor.begin({"general": {"positionEncodings": [encoding]}})
    assert offered["positionEncoding"] == encoding
    editor.ready()
    file = editor.file('x = "😀漢字" + ‸ # 😀')
    assert file.cursor == (0, units)
    assert file.ask(invoked=True) == [insertion("answer()", 0, units)]
    assert fake.requests[0].prefix == 'x = "😀漢字" + '


def test_the_documents_line_endings_are_kept(fake: FakeRuntime, editor: Editor) -> None:
    fake.answer = lambda request: candidates("a = 1\n    b = 2")
    file = editor.file("import os\r\n\r\n\r\ndef f():\r\n    ‸\r\n")
    assert file.ask(invoked=True) == [insertion("a = 1\r\n    b = 2", 4, 4)]
    assert "\r" not in fake.requests[0].prefix + fake.requests[0].suffix


def test_the_entry_selected_in_the_menu_begins_the_text(fake: FakeRuntime, editor: Editor) -> None:
    fake.answer = lambda request: candidates("(path)")
    file = editor.file("import os\nos.pa‸")
    area = {"start": {"line": 1, "character": 3}, "end": {"line": 1, "character": 5}}
    items = file.ask(selected={"range": area, "text": "path.join"})
    assert items == [{"insertText": "path.join(path)", "range": area}]
    assert fake.requests[0].prefix == "import os\nos.path.join"


def test_the_models_own_limit_hides_what_nobody_asked_for(
    fake: FakeRuntime, editors: Editors
) -> None:
    fake.minimum_confidence = 0.6
    fake.answer = lambda request: candidates("unsure()", logprob=-0.7)  # 0.5
    editor = editors()
    editor.begin({})
    editor.ready()
    file = editor.file("y = ‸")
    assert file.texts() == []
    assert file.reason() == "low_confidence"
    assert file.texts(invoked=True) == ["unsure()"]
    editor.configure({"codegeex": {"completion": {"minimumConfidence": 0}}})
    assert editor.file("z = ‸", name="z.py").texts() == ["unsure()"]
    fake.answer = lambda request: candidates("sure()", logprob=-0.5)  # 0.61
    editor.configure({"codegeex": {}})
    assert editor.file("w = ‸", name="w.py").texts() == ["sure()"]


def test_a_cell_of_a_notebook_knows_the_code_above_it(fake: FakeRuntime, editors: Editors) -> None:
    editor = editors()
    synchronized = {"notebookDocument": {"synchronization": {}}}
    offered = editor.begin({**INLINE, **synchronized})
    assert offered["notebookDocumentSync"]["notebookSelector"]
    editor.ready()
    texts = {"cell:1": "import os", "cell:2": "Some prose", "cell:3": "x = 1\ny = ", "cell:4": "z"}
    kinds = {"cell:2": 1}
    cells = [{"kind": kinds.get(uri, 2), "document": uri} for uri in texts]
    documents = [
        {"uri": uri, "languageId": "python", "version": 1, "text": text}
        for uri, text in texts.items()
    ]
    book = {"uri": "file:///n.ipynb", "notebookType": "jupyter", "version": 1, "cells": cells}
    opened = {"notebookDocument": book, "cellTextDocuments": documents}
    editor.notify("notebookDocument/didOpen", opened)
    place = {"line": 1, "character": 4}
    asked = {"textDocument": {"uri": "cell:3"}, "position": place, "context": {"triggerKind": 2}}
    found = editor.call("textDocument/inlineCompletion", asked)["items"]
    assert found == [insertion("answer()", 1, 4)]
    assert fake.requests[0].prefix == "import os\nx = 1\ny = "
    assert fake.requests[0].suffix == ""


PYTHON_ABOVE = "import os\nx = 1\n"


@pytest.mark.parametrize(
    ("above", "cell", "prefix", "language"),
    [
        (["%%bash\nls -l"], "y = ", f"{PYTHON_ABOVE}y = ", "Python"),
        (["%%html\n<b>", "%%unheard_of\n?"], "y = ", f"{PYTHON_ABOVE}y = ", "Python"),
        (["%%time\nz = 2"], "y = ", f"{PYTHON_ABOVE}z = 2\ny = ", "Python"),
        (["!pip install x\n%cd ..\n  !ls\nz = 2"], "y = ", f"{PYTHON_ABOVE}z = 2\ny = ", "Python"),
        (["%%bash\nls -l"], "%%bash\ncd ", "ls -l\ncd ", "Shell"),
        (
            [],
            "%matplotlib inline\n!ls\ny = 1 % \\\n% x",
            f"{PYTHON_ABOVE}y = 1 % \\\n% x",
            "Python",
        ),
        (["%%writefile a.js\nlet a"], "%%js\nlet b = ", "let a\nlet b = ", "JavaScript"),
    ],
)
def test_a_cells_magic_says_what_it_is(
    fake: FakeRuntime,
    editors: Editors,
    above: list[str],
    cell: str,
    prefix: str,
    language: str,
) -> None:
    editor = editors()
    editor.begin({**INLINE, "notebookDocument": {"synchronization": {}}})
    editor.ready()
    texts = ["import os\nx = 1", *above, cell]
    uris = [f"cell:{number}" for number in range(len(texts))]
    documents = [
        {"uri": uri, "languageId": "python", "version": 1, "text": text}
        for uri, text in zip(uris, texts, strict=True)
    ]
    cells = [{"kind": 2, "document": uri} for uri in uris]
    book = {"uri": "file:///n.ipynb", "notebookType": "jupyter", "version": 1, "cells": cells}
    opened = {"notebookDocument": book, "cellTextDocuments": documents}
    editor.notify("notebookDocument/didOpen", opened)
    place = {"line": cell.count("\n"), "character": len(cell.rpartition("\n")[2])}
    asked = {"textDocument": {"uri": uris[-1]}, "position": place, "context": {"triggerKind": 2}}
    [item] = editor.call("textDocument/inlineCompletion", asked)["items"]
    assert item["range"]["start"] == place
    assert (fake.requests[0].prefix, fake.requests[0].language) == (prefix, language)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///project/a%20b/na%C3%AFve%23.py", "naïve#.py"),
        ("untitled:Untitled-1", "Untitled-1"),
        ("vscode-notebook-cell:/project/my%20book.ipynb#W0sZmlsZQ%3D%3D", "my book.ipynb"),
    ],
)
def test_a_model_reads_paths_as_people_do(
    fake: FakeRuntime, editor: Editor, uri: str, path: str
) -> None:
    editor.open(uri, "x = ", "python")
    file = File(editor, uri, "x = ", "")
    assert file.texts() == ["answer()"]
    editor.call("codegeex/candidates", file.place())
    area = {"start": at(0, 0), "end": at(0, 4)}
    editor.call("codegeex/explain", {"textDocument": {"uri": uri}, "range": area})
    assert {request.path for request in fake.requests} == {path}
    assert {request.task for request in fake.requests} == {"complete", "explain"}


def test_the_panel_refuses_what_a_request_by_hand_is_refused(
    fake: FakeRuntime, editors: Editors
) -> None:
    editor = editors()
    editor.begin(options={"completion": {"disabledLanguages": ["python"]}})
    editor.ready()
    file = editor.file("x = ")
    with pytest.raises(WireError, match="turned off for this language"):
        editor.call("codegeex/candidates", file.place())
    with pytest.raises(WireError, match="does not look like text"):
        editor.call("codegeex/candidates", editor.file("x\0 = ", "rust").place())
    assert editor.call("codegeex/candidates", editor.file("x = ", "rust").place())["items"]
    assert len(fake.requests) >= 1


# --- cancelled, superseded, moved on ------------------------------------------------------------


def test_a_cancelled_request_is_cancelled_at_the_runtime(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    file = editor.file("y = ‸")
    id = file.request()
    fake.wait(lambda it: it.requests)
    editor.cancel(id)
    assert editor.wait(id)["error"]["code"] == -32800
    fake.wait(lambda it: it.cancelled)
    assert fake.cancelled == [fake.requests[0].id]
    fake.release()
    assert file.texts() == ["answer()"]
    assert len(editor.replies(id)) == 1


def test_a_newer_request_takes_the_place_of_an_older_one(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    file = editor.file("y = ‸")
    older = file.request(invoked=True)
    fake.wait(lambda it: it.requests)
    newer = file.request(invoked=True)
    assert file.answer(older) == []
    assert file.reason() == "superseded"
    fake.release()
    assert len(file.answer(newer)) == 1


def test_documents_do_not_disturb_each_other(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    one, other = editor.file("a = ‸"), editor.file("b = ‸")
    first, second = one.request(invoked=True), other.request(invoked=True)
    fake.wait(lambda it: it.running == 2)
    third = one.request(invoked=True)
    assert one.answer(first) == []
    fake.release()
    assert other.answer(second)
    assert one.answer(third)
    assert len(fake.cancelled) == 1


@pytest.mark.parametrize(("pause", "pace_s"), [("off", 0.0), ("off", 0.02), ("adaptive", 0.02)])
def test_a_burst_of_keystrokes(
    fake: FakeRuntime, editors: Editors, pause: str, pace_s: float
) -> None:
    """50 keystrokes, each with its request, on a model of 200 ms."""
    fake.delay_s = 0.2
    editor = editors()
    editor.begin(options={"completion": {"pause": pause}})
    editor.ready()
    file = editor.file("value = ‸")
    ids = []
    for _ in range(50):
        file.type("x")
        ids.append(file.request())
        time.sleep(pace_s)  # the typist's, nothing is waited for
    answers = [file.answer(id) for id in ids]
    assert answers[-1] == [insertion("answer()", *file.cursor)]
    assert [len(editor.replies(id)) for id in ids] == [1] * 50
    assert fake.most_at_once <= 2
    fake.wait(lambda it: it.running == 0)
    fake.wait(lambda it: it.activities and it.activities[-1].requests == 50)
    tally = fake.activities[-1]
    assert tally.shown == sum(map(bool, answers))
    assert tally.empty == {"superseded": 50 - tally.shown}
    assert tally.shown < 10
    if pause == "adaptive":
        assert len(fake.requests) < 50


def test_a_change_never_waits_for_the_model(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    file = editor.file("value = ‸")
    id = file.request()
    fake.wait(lambda it: it.requests)
    for _ in range(200):
        file.type("x")
    assert file.reason() is None  # answered behind 200 changes, and yet:
    assert editor.replies(id) == []
    fake.release()
    assert file.answer(id) == []
    file.ask()
    assert fake.requests[-1].prefix == "value = " + 200 * "x"


def test_what_came_too_late_is_found_by_the_next_request(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    file = editor.file("y = ‸")
    id = file.request()
    fake.wait(lambda it: it.requests)
    file.type("an")
    fake.release()
    assert file.answer(id) == []
    assert file.reason() == "document_moved"
    assert file.ask() == [insertion("swer()", 0, 6)]
    assert file.why()["origin"] == "cache"
    assert len(fake.requests) == 1


# --- without asking the model -------------------------------------------------------------------


def test_the_same_place_again_needs_no_model(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file("y = ‸")
    assert file.ask() == file.ask()
    assert file.why()["origin"] == "cache"
    assert len(fake.requests) == 1


def test_typing_through_a_suggestion_needs_no_model(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file("y = ‸")
    suggested = file.texts()[0]
    for typed in range(1, len(suggested)):
        file.type(suggested[typed - 1])
        assert file.texts() == [suggested[typed:]]
    file.backspace(3)
    assert file.texts() == [suggested[-4:]]
    assert len(fake.requests) == 1
    file.type("?")
    file.ask()
    assert len(fake.requests) == 2


def test_a_closed_document_is_forgotten(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file("y = ‸")
    file.ask()
    file.close()
    assert file.ask() == []
    assert file.reason() == "not_open"
    editor.open(file.uri, "y = ")
    assert file.reason() is None
    assert len(file.ask()) == 1
    assert len(fake.requests) == 2


# --- what stays behind --------------------------------------------------------------------------

MARKER = "marker_of_the_users_code"


def test_no_log_holds_user_text(fake: FakeRuntime, editor: Editor, user: Path) -> None:
    fake.answer = lambda request: candidates(f"{MARKER}_suggested()")
    file = editor.file(f"{MARKER} = ‸", name=f"{MARKER}.py")
    assert file.texts() == [f"{MARKER}_suggested()"]
    # No probability: its exponential overflows, so that the handler fails.
    fake.answer = lambda request: candidates(f"{MARKER}_other()", logprob=1e6)
    editor.configure({"codegeex": {"completion": {"minimumConfidence": 0.5}}})
    file.type("other")
    assert editor.wait(file.request())["error"]["code"] == -32603
    editor.notify("textDocument/didChange", {"textDocument": {"uri": MARKER}, "text": MARKER})
    editor.change(f"file:///{MARKER}", 1, change_at((0, 0), (0, 0), MARKER))
    editor.change(file.uri, -5, change_at((9, 9), (0, 0), MARKER))
    editor.configure({"codegeex": {MARKER: MARKER}})
    for method in ("textDocument/inlineCompletion", "textDocument/didOpen", MARKER):
        reply = editor.wait(editor.request(method, {"text": MARKER, "position": MARKER}))
        assert "error" in reply
    editor.raw(b"Content-Length: 30\r\n\r\n" + MARKER.encode().ljust(30))
    assert editor.wait(None)["error"]["code"] == -32700
    fake.hold()
    editor.file(f"{MARKER} += ‸").request()
    fake.wait(lambda it: it.running)
    fake.drop_clients()
    editor.ready()
    assert editor.shutdown() == 0
    logs = [*(user / "state").iterdir()]
    assert logs
    assert not [path for path in logs if MARKER in path.read_text("utf-8")]
    assert MARKER not in editor.stderr


# --- the end ------------------------------------------------------------------------------------


def test_closing_the_editor_ends_the_server_and_its_link(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    editor.file("y = ‸").request()
    fake.wait(lambda it: it.running)
    editor.close_stdin()
    assert editor.wait_exit() == 1
    fake.wait(lambda it: it.clients == 0 and it.running == 0)


def test_shutdown_answers_what_is_running_and_hangs_up(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    id = editor.file("y = ‸").request()
    fake.wait(lambda it: it.running)
    assert editor.call("shutdown") is None
    assert editor.wait(id)["error"]["code"] == -32800
    fake.wait(lambda it: it.clients == 0)
    editor.notify("exit")
    assert editor.wait_exit() == 0
    assert len(fake.requests) == 1
