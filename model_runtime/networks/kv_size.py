"""How large the KV cache of a network is: its rows, their bytes, what they are kept in.

Arithmetic on a model's shape; it asks nobody what is free.
"""

from __future__ import annotations

from typing import Protocol

import torch

# Rows of the KV cache: slots keep one document each, branches hold the candidates of one request.
# Two slots are the least: an interactive request runs inside a batch one.
SLOTS, BRANCHES = 4, 5
SLOTS_OF_LARGE, BRANCHES_OF_LARGE = 2, 2
# A row of CodeGeeX-13B in float16 is 1.7 GB, one of the embedded model in float32 5 MB.
LARGE_ROW_BYTES = 256 * 1024 * 1024
# From here on a float32 cache on a CPU is kept in bfloat16.
LARGE_CACHE_BYTES = 1024 * 1024 * 1024


class Shape(Protocol):
    """What memory depends on: the rows of keys and values, and what the parameters are in.

    `linear_parameters` are in the matrices of Linear layers that can be quantized, which have
    `linear_rows` rows together; the positions are those that are served.
    """

    @property
    def hidden_size(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def max_position_embeddings(self) -> int: ...
    @property
    def kv_layers(self) -> int: ...
    @property
    def kv_heads(self) -> int: ...
    @property
    def head_dim(self) -> int: ...
    @property
    def linear_parameters(self) -> int: ...
    @property
    def linear_rows(self) -> int: ...
    @property
    def other_parameters(self) -> int: ...
    @property
    def largest_matrix(self) -> int: ...


def cache_row_bytes(config: Shape, dtype: torch.dtype) -> int:
    """One row of the KV cache."""
    positions = config.kv_layers * config.max_position_embeddings
    return 2 * positions * config.kv_heads * config.head_dim * dtype.itemsize


def cache_rows(config: Shape, dtype: torch.dtype) -> tuple[int, int]:
    """How many slots and how many branches the KV cache has."""
    if cache_row_bytes(config, dtype) > LARGE_ROW_BYTES:
        return SLOTS_OF_LARGE, BRANCHES_OF_LARGE
    return SLOTS, BRANCHES


def kv_dtype(config: Shape, device_dtype: torch.dtype, place: torch.device) -> torch.dtype:
    """What keys and values are kept in: what is computed in, but for a large cache on a CPU.

    In float32 the cache of CodeGeeX-13B would take more than its INT8 weights.
    """
    slots, branches = cache_rows(config, torch.float32)
    large = (slots + branches) * cache_row_bytes(config, torch.float32) >= LARGE_CACHE_BYTES
    if place.type == "cpu" and device_dtype == torch.float32 and large:
        return torch.bfloat16
    return device_dtype
