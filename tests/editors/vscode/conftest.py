"""The extension, built once: what the tests of the package and of the windows share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from vscode_program import EXTENSION, ROOT

from codegeex_lsp.commands.editor_config import configuration

# The hub on this machine that models are fetched from.
sys.path.append(str(ROOT / "tests" / "hub"))

BUILD_TIMEOUT_S = 120


@pytest.fixture(scope="session")
def npm(fetched: Callable[[str], Path]) -> Callable[..., None]:
    """Runs npm in the extension's folder, with what the lock file names installed there."""
    path = f"{fetched('vscode') / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(*words: str) -> None:
        command = ["npm", "--silent", *words]
        done = subprocess.run(
            command,
            cwd=EXTENSION,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    installed = EXTENSION / "node_modules" / ".package-lock.json"
    wanted = EXTENSION / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        run("ci", "--ignore-scripts")
    return run


@pytest.fixture(scope="session")
def packaged(npm: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .vsix; made with types checked and the bundle built."""
    vsix = tmp_path_factory.mktemp("vsix") / "codegeex.vsix"
    npm("run", "package", "--", "--out", str(vsix))
    return vsix


@pytest.fixture(scope="session")
def settings() -> dict[str, object]:
    """A user's settings of the extension: what the page says to paste."""
    printed: dict[str, object] = json.loads(configuration("vscode").partition("\n")[2])
    return printed
