"""Fixtures: a tiny model folder, and the real runtime process serving it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import ROOT, Runtime

sys.path.append(str(ROOT / "tests" / "runtime"))  # for tiny.py


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder whose context is long enough for a request that takes seconds."""
    tiny = pytest.importorskip("tiny", reason="torch isn't installed")
    folder = tmp_path_factory.mktemp("tiny")
    return str(tiny.write_folder(folder, tiny.config(context=8192)))


@pytest.fixture
def runtime(tmp_path: Path, tiny_model: str) -> Iterator[Runtime]:
    """Not started."""
    made = Runtime(tmp_path / "run", tiny_model)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, tiny_model: str) -> Iterator[Runtime]:
    """Started once a module."""
    made = Runtime(tmp_path_factory.mktemp("shared"), tiny_model)
    made.start()
    yield made
    made.end()


@pytest.fixture
def serving(shared: Runtime) -> Iterator[Runtime]:
    """The module's runtime with its model loaded, every connection closed afterwards."""
    shared.client().ready()
    yield shared
    shared.hang_up()
