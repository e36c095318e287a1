"""The network of a model folder alone, by torch."""

from __future__ import annotations

from pathlib import Path

import torch

from model_runtime import weights
from model_runtime.assembly import Shards, assemble
from model_runtime.models.codegeex import CodeGeeX


def load_network(folder: Path) -> CodeGeeX:
    """In float32 on the CPU; raises WeightsError as weights.load() does."""
    description = weights.read_description(folder)
    weights.verify(folder, description)
    shards = Shards(folder, description.weights)
    return assemble(shards, description.config, torch.device("cpu"), torch.float32)
