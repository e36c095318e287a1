"""One thread for torch, and the golden model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_model import GoldenModel

# On a machine with other work torch's threads wait for each other longer than they compute.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden_model(goldens: Path) -> GoldenModel:
    return GoldenModel(goldens / "model")
