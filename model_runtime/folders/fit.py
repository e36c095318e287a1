"""The one memory budget: what a model takes, and how much of a KV cache that leaves room for.

Arithmetic on a model's shape and on what is free, without torch; it opens no model and asks no
system. Whoever says whether a model fits asks here: the folders' readers before a byte of the
weights is read, `models list` of the catalogue's models, `check`; the engine gets the KV cache that
was decided on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model_runtime.errors import RuntimeFailure
from model_runtime.networks.kept import (
    ALL_KEPT,
    FEWEST_WORTH_QUANTIZED,
    GROUP,
    BitsAndBytes,
    Kept,
    Precision,
)
from model_runtime.networks.kv_size import ITEM_BYTES, KVSize, Shape, sizes

GIB = 2**30
# What torch and transformers take of main memory before a model is loaded, for those who ask what
# is free without them.
PROGRAM_BYTES = 384 * 2**20

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
    kv: KVSize
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.kv.bytes + self.working

    def fits(self, free: int | None) -> bool:
        """None is unknown."""
        return free is None or self.total <= free


Needs = Mapping[Kept, Need]


def need(shape: Shape, kept: Kept, dtype: str, *, on_cpu: bool, free: int | None) -> Need:
    """What serving a model with its matrices `kept` so takes, computing in `dtype`.

    With the best KV cache that fits into `free` bytes, or with the least one where none does.
    """
    positions = LONGEST_CHUNK * shape.hidden_size * WIDTHS_AT_WORK + shape.vocab_size
    item = ITEM_BYTES[dtype]
    weights = _linear_bytes(shape, kept, item) + shape.other_parameters * item
    # A quantized matrix may be dequantized for its product.
    working = (shape.largest_matrix + positions) * item
    for kv in sizes(shape, dtype, on_cpu=on_cpu):
        found = Need(weights, kv, working)
        if found.fits(free):
            break
    return found


def needs(shape: Shape, dtype: str, *, on_cpu: bool, free: int | None) -> Needs:
    """The same for every way the matrices could be kept."""
    return {kept: need(shape, kept, dtype, on_cpu=on_cpu, free=free) for kept in ALL_KEPT}


def encoder_bytes(parameters: int, dtype: str) -> int:
    """What a model for vectors takes: it has no KV cache and isn't quantized."""
    return parameters * ITEM_BYTES[dtype]


def check(name: str, kept: Kept, stored: Kept, needs: Needs, free: int | None) -> None:
    """Raise FitError when a model `stored` so doesn't fit `kept` so, naming what would fit.

    `needs` has every way the matrices could be kept; `free` is in bytes, None unknown.
    """
    if free is None or needs[kept].fits(free):
        return
    sizes = f"{name} in {kept} needs {_gib(needs[kept].total)}, and {_gib(free)} are free"
    raise FitError(f"{sizes}; {_way_out(stored, needs, free)}")


def ran_out(name: str, kept: Kept, stored: Kept, needs: Needs, free: int | None) -> FitError:
    """The error for memory that ran out after all; `free` is what there is without the model."""
    smaller = {way: need for way, need in needs.items() if need.weights < needs[kept].weights}
    told = f"Memory ran out while {name} was loaded in {kept}"
    if not smaller or free is None:
        return FitError(f"{told}; close other programs or use a smaller model.")
    return FitError(f"{told}, and {_gib(free)} are free; {_way_out(stored, smaller, free)}")


def _way_out(stored: Kept, needs: Needs, free: int) -> str:
    """Our own precisions come first: those of bitsandbytes take as much and are slower."""
    options = {option: needs[option] for option in Precision if option in needs}
    fitting = [option for option, need in options.items() if need.fits(free)]
    if not fitting:
        least = min(need.total for need in needs.values())
        return f"no precision fits ({_gib(least)} at least): use a smaller model."
    best = max(fitting, key=lambda option: options[option].weights)
    how = f'set quantize = "{best}"' if stored is Precision.FLOAT16 else "convert it"
    return f"in {best} it would fit ({_gib(options[best].total)}): {how}."


def _linear_bytes(shape: Shape, kept: Kept, item: int) -> int:
    count, rows = shape.linear_parameters, shape.linear_rows
    match kept:
        case BitsAndBytes.NF4:
            return count // 2 + count // NF4_BLOCK * NF4_SCALE_BYTES
        case BitsAndBytes.LLM_INT8:
            return count + 4 * rows
    if kept is Precision.FLOAT16 or count < FEWEST_WORTH_QUANTIZED:
        return count * item
    if kept is Precision.INT8:
        return count + 4 * rows
    return count // 2 + count // GROUP * 4  # a scale and a zero point in bfloat16


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
