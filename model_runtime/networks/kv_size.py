"""How large the KV cache of a network may be: its rows, their length, what they are kept in.

Arithmetic on a model's shape, without torch; it asks nobody what is free. folders/fit.py takes the
largest that fits, and the engine makes just that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

# Slots keep one document each, branches hold the candidates of one request. Two slots are good to
# have: an interactive request runs inside a batch one.
MANY_ROWS, FEW_ROWS, ONE_ROW = (4, 5), (2, 2), (1, 0)
SLOTS, BRANCHES = MANY_ROWS
# A row of CodeGeeX-13B in float16 is 1.7 GB, one of the embedded model in float32 5 MB.
LARGE_ROW_BYTES = 256 * 1024 * 1024
# From here on a float32 cache on a CPU is kept in bfloat16.
LARGE_CACHE_BYTES = 1024 * 1024 * 1024
# Rather fewer rows than a context below this one, which is 8,000 characters of code.
GOOD_CONTEXT = 2048
# A model that has no room for this isn't worth serving.
LEAST_CONTEXT = 1024
# By torch's names.
ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


class Shape(Protocol):
    """What memory depends on: the rows of keys and values, and what the parameters are in.

    `linear_parameters` are in the matrices of Linear layers that can be quantized, which have
    `linear_rows` rows together; the positions are the most that are served.
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


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """A Shape as numbers."""

    hidden_size: int
    vocab_size: int
    max_position_embeddings: int
    kv_layers: int
    kv_heads: int
    head_dim: int
    linear_parameters: int
    linear_rows: int
    other_parameters: int
    largest_matrix: int


@dataclass(frozen=True, slots=True)
class KVSize:
    """`dtype` is torch's name of it; `bytes` is what it takes once every position is in use."""

    context: int
    slots: int
    branches: int
    dtype: str
    bytes: int


def sizes(shape: Shape, dtype: str, *, on_cpu: bool) -> Iterator[KVSize]:
    """Those that a network computing in `dtype` may be served with, the best first."""
    kept = kept_in(shape, dtype, on_cpu=on_cpu)
    longest = shape.max_position_embeddings

    def of(context: int, rows: tuple[int, int]) -> KVSize:
        return KVSize(context, *rows, kept, sum(rows) * _row_bytes(shape, context, kept))

    if _row_bytes(shape, longest, kept) <= LARGE_ROW_BYTES:
        yield of(longest, MANY_ROWS)
    contexts = list(_shorter(longest, GOOD_CONTEXT))
    for context in contexts:
        yield of(context, FEW_ROWS)
    for context in _shorter(contexts[-1], LEAST_CONTEXT):
        yield of(context, ONE_ROW)


def kept_in(shape: Shape, dtype: str, *, on_cpu: bool) -> str:
    """What keys and values are kept in: what is computed in, but for a large cache on a CPU.

    In float32 the cache of CodeGeeX-13B would take more than its INT8 weights.
    """
    whole = sum(MANY_ROWS) * _row_bytes(shape, shape.max_position_embeddings, "float32")
    if on_cpu and dtype == "float32" and whole >= LARGE_CACHE_BYTES:
        return "bfloat16"
    return dtype


def _row_bytes(shape: Shape, context: int, dtype: str) -> int:
    positions = shape.kv_layers * context
    return 2 * positions * shape.kv_heads * shape.head_dim * ITEM_BYTES[dtype]


def _shorter(context: int, least: int) -> Iterator[int]:
    """It and its halves, down to the least."""
    yield context
    while context > least:
        context = max(least, context // 2)
        yield context
