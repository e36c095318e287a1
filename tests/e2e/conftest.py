"""Lends these tests the editors of tests/lsp and the tiny models of tests/runtime.

And a user whose model was taught in the test: a module makes it in its fixture `taught_model`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / name) for name in ("lsp", "runtime")]

from acting import ActingEditor  # noqa: E402
from new_user import new_user  # noqa: E402

# transformers alone takes seconds to be imported, and many on a busy machine.
PATIENCE_S = 100


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user who has nothing yet."""
    with new_user(tmp_path_factory.mktemp("user")) as home:
        yield home


@pytest.fixture(scope="session")
def stop_the_runtime() -> Callable[[], None]:
    """Stops the one that the environment names."""

    def stop() -> None:
        command = [sys.executable, "-m", "model_runtime", "stop"]
        subprocess.run(command, cwd=TESTS.parent, check=False, capture_output=True, timeout=30)

    return stop


@pytest.fixture(scope="module")
def editor(taught_model: Path, stop_the_runtime: Callable[[], None]) -> Iterator[ActingEditor]:
    """An editor of a user who has that model, when it is ready."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODEGEEX_MODEL", str(taught_model))
        with ActingEditor() as window:
            window.begin()
            window.wait_notification(
                "codegeex/status", lambda it: it["phase"] == "ready", timeout=PATIENCE_S
            )
            yield window
        stop_the_runtime()
