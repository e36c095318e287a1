"""`codegeex-lsp editor-config` prints a configuration with this installation's path in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from codegeex_lsp.commands.editor_config import EDITORS

SERVER = Path(sys.executable).parent / "codegeex-lsp"


@pytest.mark.parametrize("editor", sorted(EDITORS))
def test_the_configuration_names_this_server(editor: str) -> None:
    done = subprocess.run(
        [SERVER, "editor-config", editor], capture_output=True, text=True, check=True
    )
    [path] = re.findall(r"\"(/[^\"]*/codegeex-lsp)\"", done.stdout)
    assert Path(path).samefile(SERVER)
    assert "{{" not in done.stdout


def test_an_unknown_editor_is_refused_with_those_there_are() -> None:
    done = subprocess.run([SERVER, "editor-config", "ed"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "'emacs'" in done.stderr
    assert done.stderr.count("\n") == 1
