"""A local hub with one model, and a user whose cache and settings are empty."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_hub import LocalHub
from sample_model import HUB_ID, model_files

# The editor and the raw LSP client of tests/lsp.
sys.path.append(str(Path(__file__).resolve().parents[1] / "lsp"))
# The small networks of tests/runtime.
sys.path.append(str(Path(__file__).resolve().parents[1] / "runtime"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers as the hub has them."""
    tiny_hub = pytest.importorskip("tiny_hub", reason="torch or transformers isn't installed")
    folder: Path = tiny_hub.write_folder(tmp_path_factory.mktemp("hub") / "tiny", "qwen2")
    return folder


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub({HUB_ID: model_files()}) as hub:
        yield hub


@pytest.fixture(autouse=True)
def user(tmp_path: Path, hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's home: `hub` is their cache, `config.toml` their settings."""
    for name in list(os.environ):
        if name.startswith(("HF_", "CODEGEEX_", "SSL_CERT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("CODEGEEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("CODEGEEX_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "config.toml").write_text("")
    with tempfile.TemporaryDirectory() as runtime:  # a socket's path has to be short
        monkeypatch.setenv("CODEGEEX_RUNTIME_DIR", runtime)
        yield tmp_path
