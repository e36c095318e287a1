"""The folders of a user who has nothing yet, named in the environment of all that tests start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_runtime import DEVICE, MODEL


@contextmanager
def new_user(home: Path, model: str = MODEL) -> Iterator[Path]:
    """`state` and `config.toml` lie in `home`; the runtime's folder elsewhere: a socket's path has
    to be short."""
    (home / "config.toml").write_text("idle_exit_s = 1\n")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as runtime:
        patch.setenv("CODEGEEX_RUNTIME_DIR", runtime)
        patch.setenv("CODEGEEX_STATE_DIR", str(home / "state"))
        patch.setenv("CODEGEEX_CONFIG", str(home / "config.toml"))
        patch.setenv("CODEGEEX_MODEL", model)
        patch.setenv("CODEGEEX_DEVICE", DEVICE)
        yield home
