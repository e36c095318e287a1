"""The network of a model folder alone, by torch."""

from __future__ import annotations

from pathlib import Path

import torch

from model_runtime.folders import native
from model_runtime.folders.assembly import Shards, assemble
from model_runtime.networks.codegeex import CodeGeeX


def load_network(folder: Path) -> CodeGeeX:
    """In float32 on the CPU; raises WeightsError as opening.load() does."""
    description = native.read_description(folder)
    native.verify(folder, description)
    shards = Shards(folder, description.weights)
    return assemble(shards, description.config, torch.device("cpu"), torch.float32)
