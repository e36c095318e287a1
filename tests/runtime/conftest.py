"""Where the golden vectors and the float16 starting weights lie, where a checkout has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

# On a machine with other work torch's threads wait for each other longer than they compute.
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "../shared"


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        pytest.skip(f"{what} are not part of this checkout")
    return path


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Outputs of the published CodeGeeX code on a tiny random model."""
    return _folder(SHARED / "golden" / "codegeex", "the golden vectors")


@pytest.fixture(scope="session")
def nano_seed() -> Path:
    """The float16 weights that the embedded model was exported from."""
    return _folder(SHARED / "models" / "nano-seed", "the float16 starting weights")
