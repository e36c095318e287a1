"""An editor's page, followed to the letter: what its numbered steps say to type is typed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60

# Below a step, indented to its text and four more.
BLOCK = re.compile(r"(?:^ {7}.*\n)+", re.MULTILINE)


def commands(editor: str, which: int = 0) -> list[str]:
    """What one of the page's steps says to type."""
    page = (ROOT / "editors" / editor / "README.md").read_text()
    assert "`scripts/run`" in page
    return [line.strip() for line in BLOCK.findall(page)[which].splitlines()]


def follow(editor: str, home: Path, which: int = 0, programs: Path | None = None) -> None:
    """Run a step's commands from the project's folder, as a user whose home is `home`.

    scripts/run, which each page starts with, has been done: the tests run in its .venv. `programs`
    is where the editor is.
    """
    path = os.environ["PATH"] if programs is None else f"{programs}{os.pathsep}{os.environ['PATH']}"
    others = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands(editor, which))],
        cwd=ROOT,
        env=others | {"HOME": str(home), "PATH": path},
        check=True,
        timeout=TIMEOUT_S,
    )
