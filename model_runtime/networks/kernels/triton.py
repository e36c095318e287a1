"""Triton's products with INT8 and INT4 weights, for a decode step on an NVIDIA card.

A decode step is one reading of the weights, so the kernels read them once for all candidates (up to
MOST_ROWS), 16 bytes a thread, and add up in float32. Longer inputs are prefill, which is bound by
arithmetic: there the float weights are written once for cuBLAS. Codes are read as they are stored.
There are no atomics: the same input gives the same bits.

The tests run them in Triton's interpreter and compile them for three generations of cards. They
have never run on a card: the tile sizes are chosen from the machine code, which takes 4.2
instructions a code for one input in INT8 and 5.9 in INT4, 4.6 and 11 for several, on Hopper.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import triton
from torch import Tensor

from model_runtime.networks.kept import GROUP
from model_runtime.networks.kernels.triton_programs import (
    MOST_ROWS,
    add_parts,
    int4_dequantize,
    int4_one,
    int4_several,
    int8_dequantize,
    int8_one,
    int8_several,
)
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix

# Weight rows and columns of one program's tile, programs that share a weight row's columns, warps,
# and tiles on their way at once. 5120 weight rows make 1280 warps of each product: about ten for
# each of an H200's processors, which keeps enough bytes on their way.
ONE = {"ROWS": 4, "COLUMNS": 1024, "num_warps": 1}
SEVERAL_INT8 = {"ROWS": 32, "COLUMNS": 256, "SPLITS": 4, "num_warps": 2, "num_stages": 3}
SEVERAL_INT4 = {"ROWS": 32, "COLUMNS": GROUP, "SPLITS": 4, "num_warps": 2, "num_stages": 6}
ALL = {"ROWS": 8, "COLUMNS": 1024, "num_warps": 8}
ADDED = 1024


class TritonInt8:
    """Codes times input in float32, the row's scale behind the sum."""

    def __init__(self, matrix: Int8Matrix) -> None:
        self._codes = matrix.codes.contiguous()
        self._scale = matrix.scale

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x.contiguous()
        if len(x) == 1:
            return _one(int8_one, x, self._codes, self._scale, bias)
        if len(x) <= MOST_ROWS.value:
            return _several(int8_several, SEVERAL_INT8, x, self._codes, self._scale, bias)
        weight = torch.empty(self._codes.shape, dtype=x.dtype, device=x.device)
        _launch(int8_dequantize, ALL, weight, self._codes, self._scale, *self._codes.shape)
        return F.linear(x, weight, bias)


class TritonInt4:
    """Codes are taken out of 32-bit words, 8 at a time; each group has its scale.

    An input that is no whole number of groups is padded; CodeGeeX's need none.
    """

    def __init__(self, matrix: Int4Matrix) -> None:
        self._words = matrix.packed.contiguous().view(torch.int32)
        self._scale = matrix.scale.contiguous()
        self._padding = -matrix.columns % GROUP

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        x = F.pad(x, (0, self._padding)) if self._padding else x.contiguous()
        if len(x) == 1:
            return _one(int4_one, x, self._words, self._scale, bias)
        if len(x) <= MOST_ROWS.value:
            return _several(int4_several, SEVERAL_INT4, x, self._words, self._scale, bias)
        weight = torch.empty((len(self._words), x.shape[1]), dtype=x.dtype, device=x.device)
        _launch(int4_dequantize, ALL, weight, self._words, self._scale, *self._words.shape)
        return F.linear(x, weight, bias)


def _one(kernel: Any, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    out = torch.empty((1, len(codes)), dtype=x.dtype, device=x.device)
    _launch(kernel, ONE, out, codes, scale, *codes.shape, x, bias)
    return out


def _several(
    kernel: Any, tile: dict[str, int], x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    out = torch.empty((len(x), len(codes)), dtype=x.dtype, device=x.device)
    splits = tile["SPLITS"]
    parts = torch.empty((splits, *out.shape), dtype=torch.float32, device=x.device)
    _launch(kernel, tile, parts, codes, scale, *codes.shape, x, len(x))
    grid = (triton.cdiv(out.numel(), ADDED),)
    add_parts[grid](out, parts, bias, len(codes), out.numel(), SPLITS=splits, COLUMNS=ADDED)
    return out


def _launch(
    kernel: Any,
    tile: dict[str, int],
    out: Tensor,
    codes: Tensor,
    scale: Tensor,
    rows: int,
    *more: Any,
) -> None:
    grid = (triton.cdiv(rows, tile["ROWS"]), tile.get("SPLITS", 1))
    kernel[grid](out, codes, scale, rows, *more, **tile)
