"""The commands of scripts/nano as modules: their files have no suffix."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
import torch

torch.set_num_threads(1)

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "nano"
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SCRIPTS), str(TESTS / "runtime")]


def command_module(name: str) -> ModuleType:
    loader = SourceFileLoader(f"nano_{name}", str(SCRIPTS / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    """scripts/nano/corpus"""
    return command_module("corpus")


@pytest.fixture(scope="session")
def training() -> ModuleType:
    """scripts/nano/train"""
    return command_module("train")


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The folder scripts/nano"""
    return SCRIPTS
