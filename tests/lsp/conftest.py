"""A user's folders, a fake runtime that serves there, and an editor whose server uses both."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from editor import Editor
from fake_runtime import DEVICE, MODEL, FakeRuntime


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a user who has nothing yet: `state` and `config.toml` lie in it.

    The runtime's folder is elsewhere: a socket's path has to be short.
    """
    home = tmp_path_factory.mktemp("user")
    (home / "config.toml").write_text("idle_exit_s = 1\n")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as runtime:
        patch.setenv("CODEGEEX_RUNTIME_DIR", runtime)
        patch.setenv("CODEGEEX_STATE_DIR", str(home / "state"))
        patch.setenv("CODEGEEX_CONFIG", str(home / "config.toml"))
        patch.setenv("CODEGEEX_MODEL", MODEL)
        patch.setenv("CODEGEEX_DEVICE", DEVICE)
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
