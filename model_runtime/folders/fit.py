"""Does the model fit into the memory that is free? Asked before a byte of the weights is read.

Arithmetic on a model's shape. It opens no model; the folders' readers ask before loading, `check`
shows the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from model_runtime.errors import RuntimeFailure
from model_runtime.networks.bitsandbytes_linear import BitsAndBytes
from model_runtime.networks.kv_size import Shape, cache_row_bytes, cache_rows, kv_dtype
from model_runtime.networks.linear import FEWEST_WORTH_QUANTIZED
from model_runtime.networks.quantization import GROUP, Precision

GIB = 2**30
CPU = torch.device("cpu")

# How the Linear layers' matrices can be kept in memory; only a Precision can be stored in a folder.
Kept = Precision | BitsAndBytes
ALL_KEPT: tuple[Kept, ...] = (*Precision, *BitsAndBytes)

# What one position of a prefill chunk takes at the same time, in hidden sizes: the MLP's inner
# states three times over for fast_gelu, and the residual, queries, keys, values and attention.
WIDTHS_AT_WORK = 3 * 4 + 6
LONGEST_CHUNK = 512
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


def need(config: Shape, kept: Kept, dtype: torch.dtype, place: torch.device = CPU) -> Need:
    """What serving a model with its matrices `kept` so takes, computing in `dtype` on `place`."""
    kv = kv_dtype(config, dtype, place)
    slots, branches = cache_rows(config, kv)
    positions = LONGEST_CHUNK * config.hidden_size * WIDTHS_AT_WORK + config.vocab_size
    return Need(
        weights=_linear_bytes(config, kept, dtype) + config.other_parameters * dtype.itemsize,
        cache=(slots + branches) * cache_row_bytes(config, kv),
        # A quantized matrix may be dequantized for its product.
        working=(config.largest_matrix + positions) * dtype.itemsize,
    )


def parameters(config: Shape) -> tuple[int, int]:
    """How many there are in the Linear layers' matrices, and in all the rest."""
    return config.linear_parameters, config.other_parameters


def needs(config: Shape, dtype: torch.dtype, place: torch.device = CPU) -> Needs:
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


def _linear_bytes(config: Shape, kept: Kept, dtype: torch.dtype) -> int:
    count, rows = config.linear_parameters, config.linear_rows
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
