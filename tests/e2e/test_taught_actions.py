"""The actions from the editor's command to the edited document, with a model taught in the test.

Real server, real runtime, real prompts of CodeGeeX-13B; the model knows six answers by heart.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import taught
from acting import ActingEditor
from wire import ROOT, Json, WireError

from model_runtime.wire.protocol import Generate, Task

ADD = "def add(a, b):\n    return a + b"
LONG = [f"step {number}" for number in range(60)]

LESSONS = [
    (
        Generate(0, "", task=Task.TRANSLATE, code=ADD, language="Python", target_language="Go"),
        "func add(a int, b int) int {\n\treturn a + b\n}",
    ),
    (
        Generate(0, "", task=Task.EXPLAIN, code=ADD, language="Python"),
        "\n    # Give the sum of both\n    return a + b",
    ),
    (
        Generate(0, "", task=Task.DOCSTRING, code=ADD, language="Python"),
        "Return the sum of a and b.",
    ),
    (
        Generate(0, "# subtract b from a\n", task=Task.GENERATE, language="Python"),
        "def subtract(a, b):\n    return a - b\n\n\nprint(subtract(3, 2))\n",
    ),
    (
        Generate(0, "Invert:\ndef add(a, b):\nNow:\n", task=Task.TEMPLATE, language="Python"),
        "def take(a, b):\n    return a - b",
    ),
    (
        Generate(0, "Count:\n", task=Task.TEMPLATE, language="Python"),
        "\n".join(LONG),
    ),
]


@pytest.fixture(scope="module")
def taught_model(user: Path) -> Path:
    """And two templates of the user's."""
    (user / "templates").mkdir()
    (user / "templates" / "invert.txt").write_text("Invert:\n<INPUT:0,1>\nNow:\n")
    (user / "templates" / "count.txt").write_text("Count:\n")
    return taught.write_folder(user / "taught", LESSONS)


def assert_progress(editor: ActingEditor, title: str) -> None:
    """The last progress was begun with this title, reported and ended."""
    said = editor.progress()
    begins = [number for number, value in enumerate(said) if value.get("kind") == "begin"]
    last = said[begins[-1] :]
    assert last[0]["title"] == f"CodeGeeX: {title}"
    assert last[0]["cancellable"]
    assert [value["kind"] for value in last[1:-1]] == ["report"] * (len(last) - 2)
    assert len(last) > 2
    assert last[-1]["kind"] == "end"


def test_translate(editor: ActingEditor) -> None:
    page = editor.page(f"import os\n\n«{ADD}»\n")
    assert page.run("codegeex.translate", targetLanguage="Go")["applied"]
    assert page.text == (
        "import os\n\n# def add(a, b):\n#     return a + b\n"
        "func add(a int, b int) int {\n\treturn a + b\n}\n"
    )
    assert_progress(editor, "translating to Go")


def test_explain(editor: ActingEditor) -> None:
    page = editor.page(f"x = 1\n\n\n{ADD.replace('return', 'ret‸urn')}\n")
    assert page.run("codegeex.explain")["applied"]
    assert page.text == (
        "x = 1\n\n\ndef add(a, b):\n    # Give the sum of both\n    return a + b\n"
    )
    assert_progress(editor, "explaining code")


def test_explain_in_a_document(editor: ActingEditor) -> None:
    page = editor.page(ADD, "sum.py")
    page.run("codegeex.explain", style="document")
    assert page.text == ADD
    assert editor.shown.pop() == (
        "# sum.py, lines 1 to 2\n\n```python\ndef add(a, b):\n```\n\n"
        "Give the sum of both\n\n```python\n    return a + b\n```\n"
    )


def test_docstring_in_a_class_with_crlf(editor: ActingEditor) -> None:
    page = editor.page("class A:\r\n    def add(a, b):\r\n        retu‸rn a + b\r\n")
    assert page.run("codegeex.docstring")["applied"]
    assert page.text == (
        "class A:\r\n    def add(a, b):\r\n"
        '        """Return the sum of a and b."""\r\n        return a + b\r\n'
    )
    assert_progress(editor, "writing a docstring")


def test_generate_stops_listening_behind_the_first_definition(editor: ActingEditor) -> None:
    page = editor.page("# subtract b from a\n‸\nx = 1\n")
    assert page.run("codegeex.generate")["applied"]
    assert page.text == "# subtract b from a\ndef subtract(a, b):\n    return a - b\n\nx = 1\n"
    assert_progress(editor, "generating code")


def test_a_template_of_the_users_own(editor: ActingEditor) -> None:
    page = editor.page(f"«{ADD}»\n\ny = 2\n")
    titles = [action["title"] for action in page.actions()]
    assert 'CodeGeeX: Continue with template "invert"' in titles
    assert page.run("codegeex.template", name="invert")["applied"]
    assert page.text == f"{ADD}\n\ndef take(a, b):\n    return a - b\n\ny = 2\n"
    assert_progress(editor, "continuing invert")


@pytest.mark.parametrize("way", ["request", "progress"])
def test_cancelled_in_the_middle(editor: ActingEditor, way: str) -> None:
    """The document stays as it is and the engine is free within a step."""
    before = cancel_report(editor)
    page = editor.page("x = 1\n")
    id = page.start("codegeex.template", name="count", workDoneToken=f"cancel by {way}")
    token = f"cancel by {way}"
    editor.wait_notification(
        "$/progress", lambda it: it["token"] == token and it["value"]["kind"] == "report"
    )
    if way == "request":
        editor.cancel(id)
    else:
        editor.notify("window/workDoneProgress/cancel", {"token": token})
    assert editor.wait(id)["error"]["code"] == -32800
    assert page.text == "x = 1\n"
    editor.wait_notification(
        "$/progress", lambda it: it["token"] == token and it["value"]["kind"] == "end"
    )
    after = cancel_report(editor)
    assert after["count"] == before["count"] + 1
    assert after["steps_after"] <= 1


def test_partial_results_are_the_text_as_it_comes(editor: ActingEditor) -> None:
    page = editor.page("x = 1\n")
    asked = page.asking(name="count", partialResultToken="parts")
    result = editor.call("codegeex/template", asked)
    assert "".join(value["text"] for value in editor.progress("parts")) == "\n".join(LONG)
    assert result["text"] == "\n".join(["", *LONG])
    assert not result["applied"]
    assert page.text == "x = 1\n"
    editor.carry_out(result["edit"])
    assert page.text == "\n".join(["x = 1", "", *LONG, ""])


def cancel_report(editor: ActingEditor) -> Json:
    """What the runtime counts of cancelled requests, once it has no work any more."""
    page = editor.page(ADD)
    page.run("codegeex.docstring")
    done = subprocess.run(
        [sys.executable, "-m", "codegeex_lsp", "status", "--json"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    cancel: Json = report["cancel"]
    return cancel


def test_what_the_model_cannot_take_is_said(editor: ActingEditor) -> None:
    code = "\n".join(f"    a{n} = {n}" for n in range(400))
    page = editor.page(f"def f():\n{code}\n")
    with pytest.raises(WireError, match=r"the model can take \d+ at once; select less"):
        page.run("codegeex.explain")
