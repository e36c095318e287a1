"""The command that installs what is missing, for the messages that ask for it.

It names the interpreter that runs, or packages would go into whatever environment `pip` on the
PATH belongs to.
"""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys


def command(requirement: str) -> str:
    """A line for a shell. Environments that uv made have no pip of their own."""
    words = (
        [sys.executable, "-m", "pip", "install"]
        if importlib.util.find_spec("pip")
        else ["uv", "pip", "install", "--python", sys.executable]
    )
    line = subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
    # Every shell takes double quotes; some give brackets a meaning.
    return f'{line} "{requirement}"'


def part(name: str) -> str:
    """For an optional part of this package: without an index it is found where it is installed."""
    return command(f"codegeex-lsp[{name}]")
