"""The LSP4IJ template: its importer's rules, and the command it declares, asked as LSP4IJ asks."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lsp4ij
import pytest
from acting import ActingEditor
from editor import Editor
from fake_runtime import FakeRuntime, candidates

from codegeex_lsp.commands.editor_config import configuration
from codegeex_lsp.text.languages import LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "editors" / "jetbrains" / "lsp4ij-template"


def test_the_importer_takes_all_of_the_template() -> None:
    assert lsp4ij.complaints(TEMPLATE) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"programArgs": "codegeex-lsp"}, "must be an object"),
        ({"programArgs": {"default": "x", "linux": "y"}}, "linux is no system"),
        ({"fileTypeMappings": [{"fileType": {}}]}, "names no file type"),
        ({"command": "x"}, "command is ignored"),
    ],
)
def test_the_check_finds_what_the_importer_refuses(
    change: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    changed = lsp4ij.read(TEMPLATE) | change
    (tmp_path / "template.json").write_text(json.dumps(changed))
    assert complaint in lsp4ij.complaints(tmp_path)[0]


def test_the_file_types_are_those_of_the_languages() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "editors" / "jetbrains_languages"))
    written = (TEMPLATE / "template.json").read_text()
    assert written == script["in_template"](written), "run scripts/editors/jetbrains_languages"


def test_the_declared_command_answers_as_lsp4ij_asks(fake: FakeRuntime) -> None:
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = lsp4ij.command_line(TEMPLATE)
    with Editor(command, env={"PATH": found}) as ide:
        offered = ide.begin(lsp4ij.CAPABILITIES)
        assert offered["positionEncoding"] == "utf-16"
        ide.ready()
        file = ide.file('名前 = "😀"; total = ')
        [item] = file.ask()
        assert item["insertText"] == "answer()"
        assert item["range"]["start"] == item["range"]["end"] == {"line": 0, "character": 19}


def test_the_command_that_the_page_says_to_put_in_answers_without_a_path(
    fake: FakeRuntime,
) -> None:
    [line] = re.findall(r"Command: (.*)", configuration("jetbrains"))
    with Editor(lsp4ij.words(line), env={"PATH": "/usr/bin:/bin"}) as ide:
        ide.begin(lsp4ij.CAPABILITIES)
        ide.ready()
        [item] = ide.file("total = ").ask()
        assert item["insertText"] == "answer()"


@pytest.fixture
def ide(fake: FakeRuntime) -> Iterator[ActingEditor]:
    with ActingEditor() as window:
        window.offered = window.begin(lsp4ij.CAPABILITIES)
        window.ready()
        yield window


def test_the_menu_under_the_caret_fits_lsp4ijs_slots_and_asks_no_model(
    ide: ActingEditor, fake: FakeRuntime
) -> None:
    ide.configure({"codegeex": {"actions": {"targetLanguages": [it.name for it in LANGUAGES]}}})
    page = ide.page("def area(r):\n    # twice‸\n    return 2 * r\n")
    actions = page.actions(triggerKind=2)
    assert len(actions) == lsp4ij.INTENTIONS
    assert all(action["title"].startswith("CodeGeeX: ") for action in actions)
    assert fake.requests == []


def test_a_quick_fix_request_gets_nothing(ide: ActingEditor) -> None:
    assert ide.page("def f(a):\n    return a‸\n").actions(only=["quickfix"], triggerKind=2) == []


def test_the_command_of_an_action_is_listed_and_inserts_its_result(
    ide: ActingEditor, fake: FakeRuntime
) -> None:
    """LSP4IJ runs on the server only commands that the server lists, and resolves edits alone."""
    fake.answer = lambda request: candidates("Return the double of a.")
    page = ide.page('名前 = "😀"\n\n\ndef twice(a):\n    return 2 * a‸\n')
    [action] = [it for it in page.actions(triggerKind=2) if "docstring" in it["title"]]
    assert action["command"]["command"] in ide.offered["executeCommandProvider"]["commands"]
    ide.call("workspace/executeCommand", without_title(action["command"]))
    assert '    """Return the double of a."""\n    return 2 * a\n' in page.text


def test_accepting_needs_no_command(ide: ActingEditor) -> None:
    """LSP4IJ ignores the commands and filter texts of inline completions."""
    [item] = ide.file("total = ").ask()
    assert item.keys() == {"insertText", "range"}


def test_the_installer_finds_the_server() -> None:
    installer = json.loads((TEMPLATE / "installer.json").read_text())
    check = installer["check"]["exec"]["command"]["default"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-c", check],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("codegeex-lsp ")


def without_title(command: dict[str, object]) -> dict[str, object]:
    return {name: command[name] for name in ("command", "arguments")}
