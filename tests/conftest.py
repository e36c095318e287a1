"""The test run's own options, and where the golden vectors lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1] / "../shared"
GOLDENS = Path(os.environ.get("CODEGEEX_GOLDENS") or SHARED / "golden" / "codegeex")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-editors",
        action="store_true",
        help="also test in Emacs, Helix and old versions of Neovim",
    )


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        pytest.skip(f"{what} are not part of this checkout")
    return path


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Outputs of the published CodeGeeX code, the model's on a tiny random one."""
    return _folder(GOLDENS, "the golden vectors")


@pytest.fixture(scope="session")
def nano_seed() -> Path:
    """The float16 weights that the embedded model was exported from."""
    return _folder(SHARED / "models" / "nano-seed", "the float16 starting weights")


@pytest.fixture(scope="session")
def data() -> Path:
    """The benchmarks' problem files."""
    return _folder(SHARED / "data", "the problem files")
