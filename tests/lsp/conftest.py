"""A user's folders, a fake runtime that serves there, and an editor whose server uses both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from editor import Editor
from fake_runtime import FakeRuntime
from new_user import new_user


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with new_user(tmp_path_factory.mktemp("user")) as home:
        yield home


@pytest.fixture
def fake(user: Path) -> Iterator[FakeRuntime]:
    runtime = FakeRuntime().start()
    yield runtime
    runtime.stop()


@pytest.fixture
def editors(user: Path) -> Iterator[Callable[..., Editor]]:
    """Opens windows: editors(env=..., answers=...). All are closed after the test, servers dead."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(Editor(**more))


@pytest.fixture
def editor(fake: FakeRuntime, editors: Callable[..., Editor]) -> Editor:
    """A window past the handshake whose model is ready."""
    window: Editor = editors()
    window.begin()
    window.ready()
    return window


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEGEEX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


# The same, made once for all tests of a module that leave both as they find them.

LASTING = "lasting"


@pytest.fixture(scope="module")
def lasting_fake(user: Path) -> Iterator[FakeRuntime]:
    runtime = FakeRuntime(LASTING).start()
    yield runtime
    runtime.stop()


@pytest.fixture(scope="module")
def lasting_editor(lasting_fake: FakeRuntime) -> Iterator[Editor]:
    with Editor(env={"CODEGEEX_MODEL": LASTING}) as window:
        window.begin()
        window.ready()
        yield window
