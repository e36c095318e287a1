"""Real editors, unpacked by scripts/editors/fetch, with the fake runtime of tests/lsp behind them.

An editor that can't be had here skips its tests and says why.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "lsp"))

from fake_runtime import FakeRuntime  # noqa: E402
from new_user import new_user  # noqa: E402

FETCH_TIMEOUT_S = 240


@pytest.fixture(scope="session")
def fetched() -> Callable[[str], Path]:
    """The folder of an editor; fetches it when it isn't there, skips when that fails."""

    @functools.cache
    def why_not(editor: str) -> str:
        command = [ROOT / "scripts" / "editors" / "fetch", editor]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"not within {FETCH_TIMEOUT_S} seconds"
        return str(done.stderr.strip().splitlines()[-1:]) if done.returncode else ""

    def fetch(editor: str) -> Path:
        if reason := why_not(editor):
            pytest.skip(f"{editor} can't be fetched: {reason}")
        return ROOT / ".editors" / editor

    return fetch


@pytest.fixture
def user(tmp_path: Path) -> Iterator[Path]:
    with new_user(tmp_path) as home:
        yield home


@pytest.fixture
def fake(user: Path) -> Iterator[FakeRuntime]:
    runtime = FakeRuntime().start()
    yield runtime
    runtime.stop()
