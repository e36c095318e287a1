"""Does the model fit into the memory that is free? Asked before a byte of the weights is read.

Arithmetic on a model's shape, and two questions to the system. It opens no model; weights.py asks
before loading, the engine sizes its KV cache here, `check` shows the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model_runtime.errors import RuntimeFailure
from model_runtime.models.codegeex import CodeGeeXConfig
from model_runtime.models.linear import FEWEST_WORTH_QUANTIZED
from model_runtime.quantization import GROUP, Precision
from model_runtime.system_memory import free_memory

GIB = 2**30

# Rows of the KV cache: slots keep one document each, branches hold the candidates of one request.
# Two slots are the least: an interactive request runs inside a batch one.
SLOTS, BRANCHES = 4, 5
SLOTS_OF_LARGE, BRANCHES_OF_LARGE = 2, 2
# A row of CodeGeeX-13B in float16 is 1.7 GB, one of the embedded model in float32 5 MB.
LARGE_ROW_BYTES = 256 * 1024 * 1024

# What one position of a prefill chunk takes at the same time, in hidden sizes: the MLP's inner
# states three times over for fast_gelu, and the residual, queries, keys, values and attention.
WIDTHS_AT_WORK = 3 * 4 + 6
LONGEST_CHUNK = 512


class FitError(RuntimeFailure):
    """The model needs more memory than there is."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes: the weights as served, the KV cache, and what one prefill chunk works in."""

    weights: int
    cache: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.working


def need(config: CodeGeeXConfig, stored: Precision, dtype: torch.dtype) -> Need:
    """What serving a model `stored` so takes, computing in `dtype`."""
    linear, other = parameters(config)
    slots, branches = cache_rows(config, dtype)
    # A quantized matrix may be dequantized for its product, the largest is an MLP's.
    largest_matrix = 4 * config.hidden_size**2
    positions = LONGEST_CHUNK * config.hidden_size * WIDTHS_AT_WORK + config.vocab_size
    return Need(
        weights=_linear_bytes(config, linear, stored, dtype) + other * dtype.itemsize,
        cache=(slots + branches) * cache_row_bytes(config, dtype),
        working=(largest_matrix + positions) * dtype.itemsize,
    )


def parameters(config: CodeGeeXConfig) -> tuple[int, int]:
    """How many there are in the Linear layers' matrices, and in all the rest."""
    hidden, blocks = config.hidden_size, config.num_layers + 1
    linear = blocks * 12 * hidden**2
    tables = config.vocab_size + 2 * config.max_position_embeddings
    # A block has biases of 4 + 4 + 1 and two layernorms; the final layernorm is one more.
    return linear, tables * hidden + blocks * 13 * hidden + 2 * hidden


def cache_row_bytes(config: CodeGeeXConfig, dtype: torch.dtype) -> int:
    """One row of the KV cache; the top query layer has keys and values too."""
    positions = (config.num_layers + 1) * config.max_position_embeddings
    return 2 * positions * config.hidden_size * dtype.itemsize


def cache_rows(config: CodeGeeXConfig, dtype: torch.dtype) -> tuple[int, int]:
    """How many slots and how many branches the KV cache has."""
    if cache_row_bytes(config, dtype) > LARGE_ROW_BYTES:
        return SLOTS_OF_LARGE, BRANCHES_OF_LARGE
    return SLOTS, BRANCHES


def needs(config: CodeGeeXConfig, dtype: torch.dtype) -> dict[Precision, Need]:
    """The same for every precision that the model could be stored in."""
    return {stored: need(config, stored, dtype) for stored in Precision}


def check(name: str, stored: Precision, needs: dict[Precision, Need], free: int | None) -> None:
    """Raise FitError when the model doesn't fit, naming the largest precision that does.

    `needs` has every precision the model could be stored in; `free` is in bytes, None unknown.
    """
    if free is None or needs[stored].total <= free:
        return
    sizes = f"{name} in {stored} needs {_gib(needs[stored].total)}, and {_gib(free)} are free"
    fitting = [option for option in needs if needs[option].total <= free]
    if not fitting:
        least = min(needs.values(), key=lambda need: need.total).total
        raise FitError(f"{sizes}; no precision fits ({_gib(least)} at least): use a smaller model.")
    best = max(fitting, key=lambda option: needs[option].total)
    raise FitError(f"{sizes}; in {best} it would fit ({_gib(needs[best].total)}): convert it.")


def free_bytes(place: torch.device) -> int | None:
    """What can be had without swapping, or of the GPU's memory; None where nobody tells."""
    if place.type == "cuda":
        return torch.cuda.mem_get_info(place)[0]
    return free_memory()


def _linear_bytes(config: CodeGeeXConfig, count: int, stored: Precision, dtype: torch.dtype) -> int:
    if stored is Precision.FLOAT16 or count < FEWEST_WORTH_QUANTIZED:
        return count * dtype.itemsize
    if stored is Precision.INT8:
        return count + 4 * 9 * config.hidden_size * (config.num_layers + 1)
    return count // 2 + count // GROUP * 4  # a scale and a zero point in bfloat16


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
