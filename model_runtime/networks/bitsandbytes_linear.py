"""Linear layers of bitsandbytes: NF4 in 4 bits and LLM.int8 in 8. They save memory, not time.

The library is imported with the first layer, which takes 2 s. Measured on one core with
AVX512-VNNI, 5120 x 5120, ms a product of 1 | 16 | 128 positions, and the error of the product:
float32 6.5 | 20 | 45, LLM.int8 3.5 | 3.6 | 11 and 1.2 %, NF4 1.7 | 22 | 126 and 9.2 %.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from types import ModuleType

import torch
from torch import Tensor, nn

from model_runtime.networks.kept import BitsAndBytes


class HalfInside(nn.Module):
    """A layer that computes in `inside`, whatever it is given; [..., in] to [..., out].

    bitsandbytes would cast by itself, with a warning for every product.
    """

    def __init__(self, layer: nn.Module, inside: torch.dtype) -> None:
        super().__init__()
        self.layer = layer
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = self.layer(x.to(self.inside))
        return product.to(x.dtype)


def layer(kind: BitsAndBytes, weight: Tensor, bias: Tensor, place: torch.device) -> nn.Module:
    """A layer for float weights [out, in], quantized on `place`. Raises ImportError."""
    return (_nf4 if kind is BitsAndBytes.NF4 else _llm_int8)(weight, bias, place)


def _nf4(weight: Tensor, bias: Tensor, place: torch.device) -> nn.Module:
    """The library's CPU kernels are fast in bfloat16 only."""
    library = _library()
    inside = torch.bfloat16 if place.type == "cpu" else torch.float16
    rows, columns = weight.shape
    made = library.nn.Linear4bit(
        columns, rows, compute_dtype=inside, quant_type="nf4", device="meta"
    )
    made.weight = library.nn.Params4bit(
        weight.to(inside), requires_grad=False, quant_type="nf4", module=made
    ).to(place)
    return _ready(made, bias, inside, place)


def _llm_int8(weight: Tensor, bias: Tensor, place: torch.device) -> nn.Module:
    """Columns whose inputs pass the paper's threshold of 6 are multiplied in float16."""
    library = _library()
    rows, columns = weight.shape
    made = library.nn.Linear8bitLt(
        columns, rows, has_fp16_weights=False, threshold=6.0, device="meta"
    )
    made.weight = library.nn.Int8Params(
        weight.half(), requires_grad=False, has_fp16_weights=False
    ).to(place)
    return _ready(made, bias, torch.float16, place)


def _ready(made: nn.Module, bias: Tensor, inside: torch.dtype, place: torch.device) -> nn.Module:
    made.bias = nn.Parameter(bias.to(place, inside), requires_grad=False)
    # In training mode the 8-bit layer is a hundred times slower on a CPU.
    return HalfInside(made, inside).eval()


@functools.cache
def _library() -> ModuleType:
    """bitsandbytes, kept from fetching its CPU kernels from a hub, which it does where the package
    `kernels` is installed, and from saying that it isn't."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import bitsandbytes

    module: ModuleType = bitsandbytes
    return module
