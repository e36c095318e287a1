"""The actions through the real server process, with a fake runtime behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from acting import FULL, ActingEditor, without
from fake_runtime import Answer, FakeRuntime, candidates
from wire import Json, WireError, at

from codegeex_lsp.text.languages import LANGUAGES
from model_runtime.wire.protocol import Failure, Generate, Loading, ModelState, Reason, Task

ADD = "def add(a, b):\n    return a + b"
SAYS = {
    Task.TRANSLATE: "func add(a int, b int) int {\n\treturn a + b\n}",
    Task.EXPLAIN: "def add(a, b):\n    # Give the sum\n    return a + b",
    Task.DOCSTRING: "Return the sum.",
    Task.GENERATE: "def made():\n    return 1\n\n\nmade()\n",
    Task.TEMPLATE: "continued",
}


def says(request: Generate) -> Answer:
    return candidates(SAYS[Task(request.task)])


@pytest.fixture
def model(lasting_fake: FakeRuntime) -> FakeRuntime:
    """A runtime as it is in the beginning, whose model can everything."""
    lasting_fake.answer = says
    lasting_fake.state = ModelState(Loading.READY)
    lasting_fake.tasks = tuple(Task)
    lasting_fake.release()
    lasting_fake.requests.clear()
    lasting_fake.cancelled.clear()
    return lasting_fake


@pytest.fixture
def windows(lasting_fake: FakeRuntime) -> Iterator[Callable[..., ActingEditor]]:
    """Opens windows of their own."""
    with ExitStack() as stack:

        def window(capabilities: Json | None = None, options: Any = None) -> ActingEditor:
            editor = stack.enter_context(ActingEditor(env={"CODEGEEX_MODEL": lasting_fake.model}))
            editor.begin(capabilities, options)
            return editor

        yield window


@pytest.fixture(scope="module")
def lasting_window(lasting_fake: FakeRuntime) -> Iterator[ActingEditor]:
    with ActingEditor(env={"CODEGEEX_MODEL": lasting_fake.model}) as window:
        window.begin()
        window.ready()
        yield window


@pytest.fixture
def acting(model: FakeRuntime, lasting_window: ActingEditor) -> ActingEditor:
    """A window with all capabilities whose model is ready; all tests share it."""
    lasting_window.forget()
    return lasting_window


def assert_refused(page: Any, command: str, *words: str, **arguments: Any) -> None:
    """An error of one sentence; the document stays as it is."""
    before = page.text
    with pytest.raises(WireError) as caught:
        page.run(command, **arguments)
    assert caught.value.code == -32803
    assert caught.value.message.endswith(".")
    for word in words:
        assert word in caught.value.message
    assert page.text == before


def frame(message: Json) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


# --- the menu -----------------------------------------------------------------------------------


def test_the_menu_asks_no_model(model: FakeRuntime, acting: ActingEditor) -> None:
    actions = acting.page(f"# add\n{ADD.replace('a + b', 'a ‸+ b')}\n").actions()
    assert [action["kind"] for action in actions[:5]] == [
        "refactor.rewrite.codegeex.docstring",
        "refactor.rewrite.codegeex.explain",
        "refactor.rewrite.codegeex.summarise",
        "source.codegeex.explain",
        "refactor.rewrite.codegeex.translate",
    ]
    assert all(action["title"].startswith("CodeGeeX: ") for action in actions)
    assert model.requests == []


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        (["source"], {"source.codegeex.explain"}),
        (["refactor.rewrite.codegeex.docstring"], {"refactor.rewrite.codegeex.docstring"}),
        (["quickfix"], set()),
    ],
)
def test_the_menu_keeps_to_the_kinds_asked_for(
    acting: ActingEditor, only: list[str], kinds: set[str]
) -> None:
    actions = acting.page(ADD).actions(only=only)
    assert {action["kind"] for action in actions} == kinds


def test_the_menu_has_at_most_twenty_entries(
    model: FakeRuntime, windows: Callable[..., ActingEditor], user: Path
) -> None:
    folder = user / "templates"
    folder.mkdir()
    names = [language.name for language in LANGUAGES]
    editor = windows(options={"actions": {"targetLanguages": names}})
    editor.ready()
    page = editor.page("# x\n‸")
    assert len(page.actions()) == 20
    assert editor.page("  \n‸\n").actions() == []


def test_a_client_without_literals_gets_commands(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    editor = windows({"workspace": {"applyEdit": True}})
    editor.ready()
    page = editor.page(ADD)
    commands = page.actions()
    assert {command["command"] for command in commands} >= {"codegeex.explain"}
    docstring = next(it for it in commands if it["command"] == "codegeex.docstring")
    editor.call("workspace/executeCommand", {k: docstring[k] for k in ("command", "arguments")})
    assert page.text == 'def add(a, b):\n    """Return the sum."""\n    return a + b'


def test_resolving_an_action_without_data_changes_nothing(acting: ActingEditor) -> None:
    action = acting.page(ADD).actions()[0]
    assert acting.call("codeAction/resolve", action) == action


# --- editors that lack something ----------------------------------------------------------------


def test_without_apply_edit_an_action_is_resolved_to_its_edit(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    editor = windows(without("workspace", "applyEdit"))
    editor.ready()
    page = editor.page(ADD)
    action = next(it for it in page.actions() if it["kind"].endswith("docstring"))
    assert "command" not in action
    editor.carry_out(editor.call("codeAction/resolve", action)["edit"])
    assert page.text == 'def add(a, b):\n    """Return the sum."""\n    return a + b'


def test_without_apply_edit_a_command_shows_its_result(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    editor = windows(without("workspace", "applyEdit"))
    editor.ready()
    page = editor.page(ADD)
    done = page.run("codegeex.docstring")
    assert (done["applied"], page.text) == (False, ADD)
    assert editor.shown == ['    """Return the sum."""\n']
    editor.carry_out(done["edit"])
    assert page.text == 'def add(a, b):\n    """Return the sum."""\n    return a + b'


def test_without_show_document_it_is_a_message(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    editor = windows(without("window", "showDocument"))
    editor.ready()
    done = editor.page(ADD).run("codegeex.explain", style="document")
    assert done["document"] is None
    assert "Give the sum" in done["text"]
    [message] = editor.told()
    assert "Give the sum" in message


def test_an_editor_that_can_nothing_gets_the_result_in_the_reply(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    editor = windows({})
    editor.ready()
    page = editor.page(ADD)
    done = page.run("codegeex.translate", targetLanguage="Go", placement="replace")
    assert (done["applied"], done["text"]) == (False, SAYS[Task.TRANSLATE])
    assert list(done["edit"]["changes"]) == [page.uri]
    assert editor.progress() == []


def test_a_read_only_document_gets_the_result_beside(acting: ActingEditor) -> None:
    acting.read_only = True
    page = acting.page(ADD)
    done = page.run("codegeex.docstring")
    assert (done["applied"], page.text) == (False, ADD)
    assert acting.shown == ['    """Return the sum."""\n']
    assert "read-only" in acting.told()[-1]


# --- documents that move ------------------------------------------------------------------------


def test_an_edit_above_or_below_moves_the_result(model: FakeRuntime, acting: ActingEditor) -> None:
    page = acting.page(f"x = 1\n\n«{ADD}»\n\ny = 2\n")
    model.hold()
    id = page.start("codegeex.docstring")
    model.wait(lambda it: it.requests)
    page.insert(0, "import os\n\n")
    page.insert(8, "z = 3\n")
    model.release()
    assert acting.wait(id)["result"]["applied"]
    assert page.text == (
        'import os\n\nx = 1\n\ndef add(a, b):\n    """Return the sum."""\n    return a + b\n'
        "\ny = 2\nz = 3\n"
    )


def test_an_edit_of_the_lines_themselves_inserts_nothing(
    model: FakeRuntime, acting: ActingEditor
) -> None:
    page = acting.page(ADD)
    model.hold()
    id = page.start("codegeex.docstring")
    model.wait(lambda it: it.requests)
    page.insert(1, "    a += 1\n")
    changed = page.text
    model.release()
    assert not acting.wait(id)["result"]["applied"]
    assert page.text == changed
    assert acting.shown == ['    """Return the sum."""\n']
    assert "changed" in acting.told()[-1]


def test_an_edit_that_crosses_ours_is_tried_again(acting: ActingEditor) -> None:
    """The client refuses the first one: its document has moved on already."""
    page = acting.page(f"«{ADD}»\n")
    carry_out = acting.answers["workspace/applyEdit"]

    def edited_meanwhile(params: Json) -> Json:
        acting.answers["workspace/applyEdit"] = carry_out
        page.insert(0, "import os\n")
        answer: Json = carry_out(params)
        return answer

    acting.answers["workspace/applyEdit"] = edited_meanwhile
    assert page.run("codegeex.docstring")["applied"]
    assert page.text.startswith('import os\ndef add(a, b):\n    """Return')


def test_a_closed_document_ends_the_work(model: FakeRuntime, acting: ActingEditor) -> None:
    page = acting.page(ADD)
    model.hold()
    id = page.start("codegeex.explain")
    model.wait(lambda it: it.requests)
    acting.notify("textDocument/didClose", {"textDocument": {"uri": page.uri}})
    assert acting.wait(id)["error"]["code"] == -32801
    model.wait(lambda it: it.cancelled)


# --- cancelling ---------------------------------------------------------------------------------


def test_cancelled_while_the_model_works(model: FakeRuntime, acting: ActingEditor) -> None:
    page = acting.page(ADD)
    model.hold()
    id = page.start("codegeex.explain")
    model.wait(lambda it: it.requests)
    acting.wait_notification("$/progress", lambda it: it["value"]["kind"] == "begin")
    acting.cancel(id)
    assert acting.wait(id)["error"]["code"] == -32800
    model.wait(lambda it: it.cancelled)
    assert page.text == ADD
    acting.wait_notification("$/progress", lambda it: it["value"]["kind"] == "end")


def test_cancelled_while_the_edit_is_on_its_way(acting: ActingEditor) -> None:
    acting.silent.add("workspace/applyEdit")
    page = acting.page(ADD)
    id = page.start("codegeex.explain")
    acting.wait_notification("workspace/applyEdit")
    acting.cancel(id)
    assert acting.wait(id)["error"]["code"] == -32800
    acting.silent.clear()
    assert page.run("codegeex.explain")["applied"]


def test_cancelled_before_it_began(model: FakeRuntime, acting: ActingEditor) -> None:
    model.hold()
    page = acting.page(ADD)
    asked = page.command("codegeex.explain", {})
    acting.raw(
        frame({"id": "early", "method": "workspace/executeCommand", "params": asked})
        + frame({"method": "$/cancelRequest", "params": {"id": "early"}})
    )
    assert acting.wait("early")["error"]["code"] == -32800
    model.release()
    assert page.text == ADD
    assert page.run("codegeex.explain")["applied"]
    assert page.text.count("# Give the sum") == 1
    assert acting.stderr == ""


def test_cancelled_while_the_model_is_loaded(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    model.state = ModelState(Loading.LOADING)
    editor = windows()
    page = editor.page(ADD)
    id = page.start("codegeex.explain")
    editor.phase("loading")
    editor.cancel(id)
    assert editor.wait(id)["error"]["code"] == -32800
    assert model.requests == []


def test_work_waits_for_a_model_that_is_being_loaded(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    model.state = ModelState(Loading.LOADING)
    editor = windows()
    page = editor.page(ADD)
    id = page.start("codegeex.explain")
    editor.phase("loading")
    model.push(ModelState(Loading.READY))
    assert editor.wait(id)["result"]["applied"]


# --- what can't be done -------------------------------------------------------------------------


def test_a_model_is_never_asked_for_what_it_cannot(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    model.tasks = (Task.COMPLETE, Task.TEMPLATE)
    model.others = {Task.EXPLAIN: ("one-7b", "two-9b")}
    editor = windows()
    editor.ready()
    page = editor.page(ADD)
    assert_refused(page, "codegeex.translate", "lasting can't translate code", targetLanguage="Go")
    assert_refused(page, "codegeex.explain", "one-7b, two-9b can: run", "models pull")
    assert model.requests == []
    disabled = [action for action in page.actions() if "disabled" in action]
    assert len(disabled) == len(page.actions())
    assert "can't" in disabled[0]["disabled"]["reason"]


@pytest.mark.parametrize(
    ("text", "command", "arguments", "words"),
    [
        ("\n \n‸", "codegeex.explain", {}, ["no code"]),
        ("x = 1", "codegeex.translate", {"targetLanguage": "python"}, ["Python already"]),
        ("x = 1", "codegeex.translate", {"targetLanguage": "Klingon"}, ["translate to", "Rust"]),
        ("x = 1\n‸", "codegeex.generate", {}, ["no comment"]),
        ("x = 1", "codegeex.docstring", {}, ["no definition"]),
        ('def f():\n    """Hello."""\n', "codegeex.docstring", {}, ["already"]),
        ("x = 1", "codegeex.template", {"name": "../secret"}, ["no template", "none"]),
    ],
    ids=str,
)
def test_refused(
    model: FakeRuntime,
    acting: ActingEditor,
    text: str,
    command: str,
    arguments: Json,
    words: list[str],
) -> None:
    assert_refused(acting.page(text), command, *words, **arguments)
    assert model.requests == []


def test_a_file_of_no_known_language(acting: ActingEditor) -> None:
    page = acting.page("hello", language="plaintext", name="notes.txt")
    assert_refused(page, "codegeex.explain", "language")
    assert_refused(page, "codegeex.translate", "translate from", targetLanguage="Go")


@pytest.mark.parametrize("command", ["codegeex.translate", "codegeex.explain"])
def test_arguments_that_are_no_good(acting: ActingEditor, command: str) -> None:
    for arguments in ([], [1], [{"textDocument": {"uri": "x"}}], [{}, {}]):
        with pytest.raises(WireError) as caught:
            acting.call("workspace/executeCommand", {"command": command, "arguments": arguments})
        assert caught.value.code == -32602


def test_turned_off(model: FakeRuntime, windows: Callable[..., ActingEditor]) -> None:
    editor = windows(options={"enabled": False})
    editor.ready()
    page = editor.page(ADD)
    assert page.actions() == []
    assert_refused(page, "codegeex.explain", "turned off")


def test_a_file_larger_than_the_limit(
    model: FakeRuntime, windows: Callable[..., ActingEditor]
) -> None:
    editor = windows(options={"completion": {"maxFileSize": 1024}})
    editor.ready()
    page = editor.page("x = 1\n" * 500)
    assert page.actions() == []
    assert_refused(page, "codegeex.explain", "maxFileSize")


def test_a_runtime_that_fails_says_why(model: FakeRuntime, acting: ActingEditor) -> None:
    model.answer = lambda request: Failure(0, Reason.BAD_REQUEST, "The text is too long.")
    assert_refused(acting.page(ADD), "codegeex.explain", "The text is too long.")
    model.answer = lambda request: Failure(0, Reason.OUT_OF_MEMORY)
    assert_refused(acting.page(ADD), "codegeex.explain", "memory")


def test_a_runtime_that_is_lost(model: FakeRuntime, acting: ActingEditor) -> None:
    page = acting.page(ADD)
    model.hold()
    id = page.start("codegeex.explain")
    model.wait(lambda it: it.requests)
    model.drop_clients()
    assert acting.wait(id)["error"]["code"] == -32803
    model.release()
    acting.ready()
    assert page.run("codegeex.explain")["applied"]


# --- what is asked and made of the answers ------------------------------------------------------


def test_a_long_passage_goes_in_pieces_of_definitions(
    model: FakeRuntime, acting: ActingEditor
) -> None:
    model.answer = lambda request: candidates(
        "\n".join(
            line if not line.startswith("    return") else f"    # Back\n{line}"
            for line in request.code.split("\n")
        )
    )
    units = [f"def f{n}(x):\n" + f"    x += {n}\n" * 40 + "    return x\n" for n in range(5)]
    text = "\n\n".join(units)
    page = acting.page(text)
    assert page.run("codegeex.explain", workDoneToken="pieces")["applied"]
    assert page.text == text.replace("    return", "    # Back\n    return")
    assert len(model.requests) > 1
    assert all(request.code.startswith("def f") for request in model.requests)
    assert all(request.code.endswith("return x") for request in model.requests)
    reports = [value["message"] for value in acting.progress("pieces") if value["kind"] == "report"]
    assert any(f"part 2 of {len(model.requests)}" in report for report in reports)


def test_a_definition_longer_than_the_model_takes_is_refused(
    model: FakeRuntime, acting: ActingEditor
) -> None:
    page = acting.page("def f(x):\n" + "    x += 1\n" * 300)
    assert_refused(page, "codegeex.explain", "line 1 to 301", "1748 at once", "select less")
    assert model.requests == []


def test_several_comments_are_steps(model: FakeRuntime, acting: ActingEditor) -> None:
    said = iter(["a = read()", "b = a + 1\n"])
    model.answer = lambda request: candidates(next(said))
    page = acting.page("import os\n«# read a\n\n# add one to it\n»\nprint(b)\n")
    assert page.run("codegeex.generate")["applied"]
    assert page.text == (
        "import os\n# read a\na = read()\n\n# add one to it\nb = a + 1\n\nprint(b)\n"
    )
    assert model.requests[1].prefix == "import os\n# read a\na = read()\n\n# add one to it\n"


def test_an_instruction_takes_the_place_of_a_blank_line(
    model: FakeRuntime, acting: ActingEditor
) -> None:
    page = acting.page("class A:\n    ‸\nx = 1\n")
    assert page.run("codegeex.generate", instruction="a method")["applied"]
    assert page.text == "class A:\n    def made():\n        return 1\nx = 1\n"
    request = model.requests[0]
    assert (request.instruction, request.prefix) == ("a method", "class A:\n    ")


def test_a_translation_that_does_not_parse_is_asked_for_again(
    model: FakeRuntime, acting: ActingEditor
) -> None:
    def answer(request: Generate) -> Answer:
        if request.candidates == 1:
            return candidates("def f(:")
        return candidates("def g(:", "def h():\n    pass")

    model.answer = answer
    page = acting.page("func f() {}", language="go", name="f.go")
    done = page.run("codegeex.translate", targetLanguage="Python", placement="replace")
    assert page.text == "def h():\n    pass"
    assert done["message"] == ""
    assert [request.candidates for request in model.requests] == [1, 3]
    model.answer = lambda request: candidates("def f(:")
    page = acting.page("func f() {}", language="go", name="g.go")
    done = page.run("codegeex.translate", targetLanguage="Python", placement="replace")
    assert "does not parse as Python" in done["message"]


def test_a_translation_beside(acting: ActingEditor) -> None:
    page = acting.page(ADD)
    done = page.run("codegeex.translate", targetLanguage="Go", placement="beside")
    assert page.text == ADD
    assert acting.shown == [SAYS[Task.TRANSLATE] + "\n"]
    assert done["document"].endswith(".go")


@pytest.mark.parametrize(
    "answer",
    [
        "```python\ndef add(a, b):\n    # Give the sum\n    return a + b\n```\nThis adds.",
        "Sure! Here is it:\ndef add(a, b):\n    # Give the sum\n    return a + b\n\nNote: it adds.",
        "def add(a,b): # changed\n    # Give the sum\n    return a + b\n    # Give the sum\n" * 1,
        "def add(a, b):\n    # Give the sum\n    return a + b\n" + "    # again\n" * 50,
    ],
)
def test_only_comments_are_taken_from_an_explanation(
    model: FakeRuntime, acting: ActingEditor, answer: str
) -> None:
    model.answer = lambda request: candidates(answer)
    page = acting.page(ADD)
    page.run("codegeex.explain")
    assert page.text == "def add(a, b):\n    # Give the sum\n    return a + b"


def test_prose_becomes_a_comment_above(model: FakeRuntime, acting: ActingEditor) -> None:
    model.answer = lambda request: candidates("It adds two numbers.\nThat is all.")
    page = acting.page(ADD)
    page.run("codegeex.explain")
    assert page.text == f"# It adds two numbers.\n# That is all.\n{ADD}"


def test_mixed_indentation_tabs_and_crlf_stay(model: FakeRuntime, acting: ActingEditor) -> None:
    model.answer = lambda request: candidates(request.code.replace("c()", "# Last\nc()"))
    text = "if x:\r\n\tfor a in b:\r\n\t    a()\r\n\tc()\r\n"
    page = acting.page(text)
    page.run("codegeex.explain")
    assert page.text == text.replace("\tc()", "\t# Last\r\n\tc()")
    assert "\r" not in model.requests[0].code


def test_a_tabbed_document_gets_tabs(model: FakeRuntime, acting: ActingEditor) -> None:
    page = acting.page("class A:\n\tx = 1\n\n\t# make it\n‸")
    page.run("codegeex.generate")
    assert page.text == "class A:\n\tx = 1\n\n\t# make it\n\tdef made():\n\t\treturn 1\n"


def test_a_cell_of_a_notebook(model: FakeRuntime, windows: Callable[..., ActingEditor]) -> None:
    editor = windows(FULL | {"notebookDocument": {"synchronization": {}}})
    editor.ready()
    page = editor.page(ADD)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": page.uri}})
    document = {"uri": page.uri, "languageId": "python", "version": 1, "text": ADD}
    notebook = {
        "uri": "file:///book.ipynb",
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [{"kind": 2, "document": page.uri}],
    }
    editor.notify(
        "notebookDocument/didOpen",
        {"notebookDocument": notebook, "cellTextDocuments": [document]},
    )
    assert page.run("codegeex.docstring")["applied"]
    assert page.text == 'def add(a, b):\n    """Return the sum."""\n    return a + b'


# --- templates ----------------------------------------------------------------------------------


def test_templates_are_read_anew_each_time(
    model: FakeRuntime, acting: ActingEditor, user: Path
) -> None:
    folder = user / "templates"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    page = acting.page("«one\ntwo\nthree»\n")
    path = folder / "mine.txt"
    path.write_text("A <INPUT:1> B <INPUT:0,1> C <INPUT:-1>")
    page.run("codegeex.template", name="mine")
    assert model.requests[-1].prefix == "A two\nthree B one C three"
    assert page.text == "one\ntwo\nthree\n\ncontinued\n"
    path.write_text("only <INPUT>")
    page.run("codegeex.template", name="mine")
    assert model.requests[-1].prefix == "only one\ntwo\nthree"
    path.write_text("marked <INPUT>", encoding="utf-16")
    page.run("codegeex.template", name="mine")
    assert model.requests[-1].prefix == "marked one\ntwo\nthree"
    path.write_text("bad <INPUT:a-b>")
    assert_refused(page, "codegeex.template", '"mine"', "<INPUT:a-b>", name="mine")
    path.write_bytes("only <INPUT>, größer".encode("utf-8-sig"))
    page.run("codegeex.template", name="mine")
    assert model.requests[-1].prefix == "only one\ntwo\nthree, größer"
    path.write_bytes(b"\x00bad")
    assert_refused(page, "codegeex.template", "no text", name="mine")
    path.write_bytes(b"x" * 70_000)
    assert_refused(page, "codegeex.template", "too large", name="mine")
    path.write_text(" \n")
    assert_refused(page, "codegeex.template", "empty", name="mine")
    path.unlink()
    path.symlink_to(folder / "nowhere")
    assert_refused(page, "codegeex.template", "can't be read", name="mine")
    path.unlink()
    os.mkfifo(path)
    assert_refused(page, "codegeex.template", "not a file", name="mine")
    path.unlink()


# --- candidates ---------------------------------------------------------------------------------


def test_candidates_are_streamed_and_ordered(model: FakeRuntime, acting: ActingEditor) -> None:
    rounds = iter(
        [
            candidates("a()", logprob=-0.9) + candidates("b()", "a()", logprob=-0.3),
            candidates("a()", "c()", logprob=-0.5),
        ]
    )
    model.answer = lambda request: next(rounds)
    page = acting.page("x = ")
    asked = {"textDocument": {"uri": page.uri}, "position": at(0, 4), "count": 3}
    result = acting.call("codegeex/candidates", asked | {"partialResultToken": "panel"})
    assert [item["text"] for item in result["items"]] == ["b()", "c()", "a()"]
    streamed = [[it["text"] for it in value["items"]] for value in acting.progress("panel")]
    assert streamed == [["a()", "b()"], ["c()"]]
    assert [request.best_first for request in model.requests] == [True, False]
    assert model.requests[0].seed != model.requests[1].seed


def test_candidates_end_when_nothing_new_comes(model: FakeRuntime, acting: ActingEditor) -> None:
    model.answer = lambda request: candidates("same()")
    page = acting.page("x = ")
    asked = {"textDocument": {"uri": page.uri}, "position": at(0, 4), "count": 5}
    assert len(acting.call("codegeex/candidates", asked)["items"]) == 1
    assert len(model.requests) == 3


# --- languages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_actions_on_a_file_of_each_language(
    model: FakeRuntime, acting: ActingEditor, language: Any
) -> None:
    model.answer = lambda request: candidates("What it does.")
    page = acting.page("some code here\n", name=f"file{language.suffixes[0]}", language="")
    offered = {action["kind"] for action in page.actions()}
    assert {"refactor.rewrite.codegeex.explain", "refactor.rewrite.codegeex.translate"} <= offered
    assert page.run("codegeex.explain")["applied"]
    comment, code, _ = page.text.split("\n")
    opener, closer = language.block_comment or ("", "")
    marks = (language.line_comment, "") if language.line_comment else (opener, f" {closer}")
    assert (comment, code) == (f"{marks[0]} What it does.{marks[1]}", "some code here")
    assert model.requests[-1].language == language.name
    target = "Rust" if language.name != "Rust" else "Go"
    page = acting.page("some code here\n", name=f"other{language.suffixes[0]}", language="")
    page.run("codegeex.translate", targetLanguage=target, placement="replace")
    assert model.requests[-1].target_language == target
    assert page.text == "What it does.\n"
