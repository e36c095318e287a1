"""What the page says, in a real Helix, in a terminal of tmux: suggestions in its menu."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import readme
from fake_runtime import FakeRuntime, candidates
from terminal import Terminal


@pytest.fixture
def helix(
    request: pytest.FixtureRequest, fetched: Callable[[str], Path], fake: FakeRuntime, user: Path
) -> Iterator[Terminal]:
    if not request.config.getoption("--all-editors"):
        pytest.skip("Helix is tested with --all-editors")
    fake.answer = lambda request: candidates("answer()")
    usr = fetched("helix") / "usr"
    readme.follow("helix", user)
    (user / "some.py").write_text("# 😀\n\n\ndef twice(a):\n    return 2 * a\n")
    runtime = next((path for path in usr.rglob("runtime") if (path / "queries").exists()), usr)
    folders = f"-u XDG_CONFIG_HOME -u XDG_CACHE_HOME HOME={user} HELIX_RUNTIME={runtime}"
    kept = " ".join(f"{name}={os.environ[name]}" for name in os.environ if "CODEGEEX" in name)
    with Terminal(user, f"env {folders} {kept} {usr}/bin/hx {user / 'some.py'}") as terminal:
        yield terminal


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
