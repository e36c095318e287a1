"""What the page says, in a real Helix, in a terminal of tmux: suggestions in its menu."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import readme
from fake_runtime import FakeRuntime, candidates

TIMEOUT_S = 30


class Terminal:
    """A terminal of 90 by 20 characters that runs one program."""

    def __init__(self, home: Path, command: str) -> None:
        self._tmux = ["tmux", "-S", str(home / "tmux.socket"), "-f", "/dev/null"]
        self._do("new-session", "-d", "-s", "t", "-x", "90", "-y", "20", command)

    def type(self, *keys: str) -> None:
        self._do("send-keys", "-t", "t", *keys)

    def until(self, text: str) -> None:
        end = time.monotonic() + TIMEOUT_S
        while text not in (screen := self._do("capture-pane", "-t", "t", "-p")):
            assert time.monotonic() < end, screen
            time.sleep(0.1)

    def close(self) -> None:
        self._do("kill-server")

    def _do(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True)
        return done.stdout


@pytest.fixture
def helix(
    request: pytest.FixtureRequest, fetched: Callable[[str], Path], fake: FakeRuntime, user: Path
) -> Iterator[Terminal]:
    if not request.config.getoption("--all-editors"):
        pytest.skip("Helix is tested with --all-editors")
    if shutil.which("tmux") is None:
        pytest.skip("Helix needs a terminal, and tmux is missing: apt install tmux")
    fake.answer = lambda request: candidates("answer()")
    usr = fetched("helix") / "usr"
    readme.follow("helix", user)
    (user / "some.py").write_text("# 😀\n\n\ndef twice(a):\n    return 2 * a\n")
    runtime = next((path for path in usr.rglob("runtime") if (path / "queries").exists()), usr)
    folders = f"-u XDG_CONFIG_HOME -u XDG_CACHE_HOME HOME={user} HELIX_RUNTIME={runtime}"
    kept = " ".join(f"{name}={os.environ[name]}" for name in os.environ if "CODEGEEX" in name)
    terminal = Terminal(user, f"env {folders} {kept} {usr}/bin/hx {user / 'some.py'}")
    yield terminal
    terminal.close()


def test_the_menu_offers_the_suggestion(helix: Terminal, fake: FakeRuntime) -> None:
    helix.until("NOR")
    fake.wait(lambda fake: fake.clients)
    helix.type("o")
    helix.until("INS")
    helix.type("x = a", "C-x")
    helix.until("answer()")


def test_an_action_at_the_cursor_is_about_the_block_around_it(
    helix: Terminal, fake: FakeRuntime
) -> None:
    """Helix asks for actions on the one character under its cursor."""
    fake.answer = lambda request: candidates("Return the double.")
    helix.until("NOR")
    fake.wait(lambda fake: fake.clients)
    helix.type("ge", "Space", "a")
    helix.until("CodeGeeX: Write a docstring")
    helix.type("Enter")
    helix.until('"""Return the double."""')
    assert fake.requests[-1].code == "def twice(a):\n    return 2 * a"
