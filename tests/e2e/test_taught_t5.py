"""Summaries and translations by an encoder-decoder taught in the test, through the real server."""

from __future__ import annotations

from pathlib import Path

import pytest
import taught_t5
from acting import ActingEditor

from model_runtime.wire.protocol import Generate, Task

ADD = "def add(a, b):\n    return a + b"
JOIN = "def join(parts):\n    return ''.join(parts)"
IN_GO = "func add(a int, b int) int {\n\treturn a + b\n}"

LESSONS = [
    (Generate(0, "", task=Task.SUMMARISE, code=ADD, language="Python"), "Return the sum of both."),
    (Generate(0, "", task=Task.SUMMARISE, code=JOIN, language="Python"), "Join all parts."),
    (
        Generate(0, "", task=Task.TRANSLATE, code=ADD, language="Python", target_language="Go"),
        IN_GO,
    ),
]


@pytest.fixture(scope="module")
def taught_model(user: Path) -> Path:
    return taught_t5.write_folder(user / "taught", LESSONS)


@pytest.mark.parametrize(
    ("code", "sentence"), [(ADD, "Return the sum of both."), (JOIN, "Join all parts.")]
)
def test_summarise(editor: ActingEditor, code: str, sentence: str) -> None:
    page = editor.page(f"x = 1\n\n«{code}»\n")
    assert page.run("codegeex.summarise")["applied"]
    assert page.text == f"x = 1\n\n# {sentence}\n{code}\n"


def test_a_summary_is_a_docstring_too(editor: ActingEditor) -> None:
    page = editor.page(f"{ADD.replace('return', 'ret‸urn')}\n")
    assert page.run("codegeex.docstring")["applied"]
    assert page.text == ('def add(a, b):\n    """Return the sum of both."""\n    return a + b\n')


def test_an_explanation_is_the_summary_above_the_code(editor: ActingEditor) -> None:
    page = editor.page(f"«{ADD}»\n")
    assert page.run("codegeex.explain")["applied"]
    assert page.text == f"# Return the sum of both.\n{ADD}\n"


def test_translate(editor: ActingEditor) -> None:
    page = editor.page(f"«{ADD}»\n")
    assert page.run("codegeex.translate", targetLanguage="Go")["applied"]
    assert page.text.endswith(f"{IN_GO}\n")
