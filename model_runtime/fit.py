"""Does the model fit into the memory that is free? Asked before a byte of the weights is read.

Arithmetic on a model's shape, and two questions to the system. It opens no model; weights.py asks
before loading, the engine sizes its KV cache here, `check` shows the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from model_runtime.errors import RuntimeFailure
from model_runtime.models.bitsandbytes_linear import BitsAndBytes
from model_runtime.models.codegeex import CodeGeeXConfig
from model_runtime.models.linear import FEWEST_WORTH_QUANTIZED
from model_runtime.quantization import GROUP, Precision
from model_runtime.system_memory import free_memory

GIB = 2**30
CPU = torch.device("cpu")

# How the Linear layers' matrices can be kept in memory; only a Precision can be stored in a folder.
Kept = Precision | BitsAndBytes
ALL_KEPT: tuple[Kept, ...] = (*Precision, *BitsAndBytes)

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
# From here on a float32 cache on a CPU is kept in bfloat16.
LARGE_CACHE_BYTES = GIB
# bitsandbytes scales 64 weights together, on a CPU in bfloat16 and elsewhere in less.
NF4_BLOCK, NF4_SCALE_BYTES = 64, 2


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


Needs = Mapping[Kept, Need]


def need(config: CodeGeeXConfig, kept: Kept, dtype: torch.dtype, place: torch.device = CPU) -> Need:
    """What serving a model with its matrices `kept` so takes, computing in `dtype` on `place`."""
    linear, other = parameters(config)
    kv = kv_dtype(config, dtype, place)
    slots, branches = cache_rows(config, kv)
    # A quantized matrix may be dequantized for its product, the largest is an MLP's.
    largest_matrix = 4 * config.hidden_size**2
    positions = LONGEST_CHUNK * config.hidden_size * WIDTHS_AT_WORK + config.vocab_size
    return Need(
        weights=_linear_bytes(config, linear, kept, dtype) + other * dtype.itemsize,
        cache=(slots + branches) * cache_row_bytes(config, kv),
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


def kv_dtype(config: CodeGeeXConfig, device_dtype: torch.dtype, place: torch.device) -> torch.dtype:
    """What keys and values are kept in: what is computed in, but for a large cache on a CPU.

    In float32 the cache of CodeGeeX-13B would take more than its INT8 weights.
    """
    slots, branches = cache_rows(config, torch.float32)
    large = (slots + branches) * cache_row_bytes(config, torch.float32) >= LARGE_CACHE_BYTES
    if place.type == "cpu" and device_dtype == torch.float32 and large:
        return torch.bfloat16
    return device_dtype


def needs(config: CodeGeeXConfig, dtype: torch.dtype, place: torch.device = CPU) -> Needs:
    """The same for every way the matrices could be kept."""
    return {kept: need(config, kept, dtype, place) for kept in ALL_KEPT}


def check(name: str, kept: Kept, stored: Kept, needs: Needs, free: int | None) -> None:
    """Raise FitError when a model `stored` so doesn't fit `kept` so, naming what would fit.

    `needs` has every way the matrices could be kept; `free` is in bytes, None unknown.
    """
    if free is None or needs[kept].total <= free:
        return
    sizes = f"{name} in {kept} needs {_gib(needs[kept].total)}, and {_gib(free)} are free"
    raise FitError(f"{sizes}; {_way_out(stored, needs, free)}")


def ran_out(name: str, kept: Kept, stored: Kept, needs: Needs, free: int | None) -> FitError:
    """The error for memory that ran out after all; `free` is what there is without the model."""
    smaller = {option: need for option, need in needs.items() if need.total < needs[kept].total}
    told = f"Memory ran out while {name} was loaded in {kept}"
    if not smaller or free is None:
        return FitError(f"{told}; close other programs or use a smaller model.")
    return FitError(f"{told}, and {_gib(free)} are free; {_way_out(stored, smaller, free)}")


def _way_out(stored: Kept, needs: Needs, free: int) -> str:
    """Our own precisions come first: those of bitsandbytes take as much and are slower."""
    options = {option: needs[option].total for option in Precision if option in needs}
    fitting = [option for option, total in options.items() if total <= free]
    if not fitting:
        least = min(need.total for need in needs.values())
        return f"no precision fits ({_gib(least)} at least): use a smaller model."
    best = max(fitting, key=lambda option: options[option])
    how = f'set quantize = "{best}"' if stored is Precision.FLOAT16 else "convert it"
    return f"in {best} it would fit ({_gib(options[best])}): {how}."


def out_of_memory(error: Exception) -> bool:
    """Whether it says so: CUDA has a class for it, the CPU's allocator and the NPU's have words."""
    said = isinstance(error, RuntimeError) and re.search(
        "allocate memory|out of memory", str(error), re.IGNORECASE
    )
    return bool(said) or isinstance(error, MemoryError | torch.OutOfMemoryError)


def free_bytes(place: torch.device) -> int | None:
    """What can be had without swapping, or of the device's memory; None where nobody tells."""
    if place.type == "cpu":
        return free_memory()
    free: int = torch.get_device_module(place).mem_get_info(place)[0]
    return free


def _linear_bytes(config: CodeGeeXConfig, count: int, kept: Kept, dtype: torch.dtype) -> int:
    rows = 9 * config.hidden_size * (config.num_layers + 1)
    match kept:
        case BitsAndBytes.NF4:
            return count // 2 + count // NF4_BLOCK * NF4_SCALE_BYTES
        case BitsAndBytes.LLM_INT8:
            return count + 4 * rows
    if kept is Precision.FLOAT16 or count < FEWEST_WORTH_QUANTIZED:
        return count * dtype.itemsize
    if kept is Precision.INT8:
        return count + 4 * rows
    return count // 2 + count // GROUP * 4  # a scale and a zero point in bfloat16


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
