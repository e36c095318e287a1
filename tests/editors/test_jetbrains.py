"""The LSP4IJ template: its importer's rules, and the command it declares, asked as LSP4IJ asks."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import lsp4ij
import pytest
from editor import Editor
from fake_runtime import FakeRuntime

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
    script = runpy.run_path(str(ROOT / "scripts" / "editors" / "jetbrains_template"))
    written = (TEMPLATE / "template.json").read_text()
    assert written == script["with_file_types"](lsp4ij.read(TEMPLATE)), (
        "run scripts/editors/jetbrains_template"
    )


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
