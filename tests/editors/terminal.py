"""Programs that need a terminal, in one of tmux: keys are typed, the screen is read."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

TIMEOUT_S = 60


class Terminal:
    """A terminal of 90 by 20 characters that runs one program. Skips where there is no tmux."""

    def __init__(self, home: Path, command: str) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("this needs a terminal, and tmux is missing: apt install tmux")
        self._tmux = ["tmux", "-S", str(home / "tmux.socket"), "-f", "/dev/null"]
        self._do("new-session", "-d", "-s", "t", "-x", "90", "-y", "20", command)

    def type(self, *keys: str) -> None:
        self._do("send-keys", "-t", "t", *keys)

    def until(self, text: str) -> None:
        end = time.monotonic() + TIMEOUT_S
        while text not in (screen := self._do("capture-pane", "-t", "t", "-p")):
            assert time.monotonic() < end, screen
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._do("kill-server")

    def _do(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True)
        return done.stdout
