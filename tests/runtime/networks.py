"""The network of a model folder alone, by torch, and rows for it."""

from __future__ import annotations

from pathlib import Path

import torch

from model_runtime.folders import native
from model_runtime.folders.assembly import Shards, assemble
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kv_cache import Rows

CPU = torch.device("cpu")


def load_network(folder: Path, quantize: str = "") -> CodeGeeX:
    """In float32 on the CPU; raises WeightsError as opening.load() does."""
    description = native.read_description(folder)
    native.verify(folder, description)
    shards = Shards(folder, description.weights)
    kept = native.plan(folder, CPU, torch.float32, quantize).kept if quantize else None
    return assemble(shards, description.config, CPU, torch.float32, kept)


def blank_rows(
    shape: CodeGeeXConfig, batch: int = 1, fill: float = 0.0, dtype: torch.dtype = torch.float32
) -> Rows:
    """Rows for all positions of the network."""
    size = batch, shape.num_attention_heads, shape.max_position_embeddings, shape.head_dim
    blank = [torch.full(size, fill, dtype=dtype) for _ in range(2 * (shape.num_layers + 1))]
    return Rows(tuple(blank[::2]), tuple(blank[1::2]))
