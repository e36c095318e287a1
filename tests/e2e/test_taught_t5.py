"""Summaries and translations by an encoder-decoder taught in the test, through the real server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
import taught_t5
from acting import ActingEditor
from wire import ROOT

from model_runtime.wire.protocol import Generate, Task

ADD = "def add(a, b):\n    return a + b"
JOIN = "def join(parts):\n    return ''.join(parts)"
# transformers is imported first, which takes long on a busy machine.
PATIENCE_S = 60.0
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
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingEditor]:
    """An editor whose user has that model."""
    home = tmp_path_factory.mktemp("user")
    (home / "config.toml").write_text("idle_exit_s = 1\n")
    model = taught_t5.write_folder(home / "taught", LESSONS)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("CODEGEEX_RUNTIME_DIR", folder)
        patch.setenv("CODEGEEX_STATE_DIR", folder)
        patch.setenv("CODEGEEX_CONFIG", str(home / "config.toml"))
        patch.setenv("CODEGEEX_DEVICE", "cpu")
        patch.setenv("CODEGEEX_MODEL", str(model))
        with ActingEditor() as window:
            window.begin()
            window.wait_notification(
                "codegeex/status", lambda it: it["phase"] == "ready", timeout=PATIENCE_S
            )
            yield window
        stop = [sys.executable, "-m", "model_runtime", "stop"]
        subprocess.run(stop, cwd=ROOT, check=False, capture_output=True, timeout=30)


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
