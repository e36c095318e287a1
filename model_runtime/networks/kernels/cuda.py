"""Kernels for NVIDIA cards: Triton's where it works, else torch's own operators, each on trial.

Triton comes with PyTorch for CUDA on Linux, not on Windows, and needs a C compiler the first time.
torch's INT4 operator computes in bfloat16 and wants the codes packed its own way, which is done
here and never on disk. Never run on a card so far.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model_runtime.networks.kept import GROUP
from model_runtime.networks.kernels import trial
from model_runtime.networks.kernels.trial import Kernel
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix

# What a kernel may differ from the float product, of its norm: its result's rounding.
TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 1e-2}
# torch's operators read the weights anew for every input: more of them are prefill.
MOST_ROWS = 16
INNER_TILES = 8


def int8_kernel(matrix: Int8Matrix, dtype: torch.dtype) -> Kernel | None:
    """The fastest that works, or None."""
    if not why_not_triton_int8(dtype):
        return _triton_int8(matrix)
    if not why_not_packed_int8(dtype):
        return PackedInt8(matrix, dtype)
    return None


def int4_kernel(matrix: Int4Matrix, dtype: torch.dtype) -> Kernel | None:
    """The fastest that works, or None."""
    if not why_not_triton_int4(dtype):
        return _triton_int4(matrix)
    rows, columns = matrix.shape
    whole = rows % 8 == 0 and columns % (16 * INNER_TILES) == 0
    if whole and not why_not_tiled_int4(dtype):
        return TiledInt4(matrix)
    return None


class PackedInt8:
    """torch's INT8 product."""

    def __init__(self, matrix: Int8Matrix, dtype: torch.dtype) -> None:
        self._matrix = matrix
        self._scale = matrix.scale.to(dtype)

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        if len(x) > MOST_ROWS:
            return F.linear(x, self._matrix.dequantized().to(x.dtype), bias)
        product: Tensor = torch._weight_int8pack_mm(x, self._matrix.codes, self._scale)
        return product.add_(bias)


class TiledInt4:
    """torch's INT4 product, on the tensor cores in bfloat16.

    It subtracts 8 from a nibble, so codes -7..7 are stored as 1..15 and no zero point is needed.
    """

    def __init__(self, matrix: Int4Matrix) -> None:
        self._matrix = matrix
        self._packed = torch.ops.aten._convert_weight_to_int4pack(matrix.packed ^ 0x88, INNER_TILES)
        scale = matrix.scale.to(torch.bfloat16).t()
        self._scale_and_zero = torch.stack((scale, torch.zeros_like(scale)), dim=2).contiguous()

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        if len(x) > MOST_ROWS:
            return F.linear(x, self._matrix.dequantized().to(x.dtype), bias)
        product: Tensor = torch.ops.aten._weight_int4pack_mm(
            x.to(torch.bfloat16), self._packed, GROUP, self._scale_and_zero
        )
        return product.to(x.dtype).add_(bias)


@functools.cache
def why_not_triton_int8(dtype: torch.dtype) -> str:
    """Empty when the kernels give the right numbers on this card, else what was wrong."""
    matrix = trial.int8_matrix().to(torch.device("cuda"))
    return trial.why_not(
        "Triton INT8", lambda: _triton_int8(matrix), matrix, TOLERANCE[dtype], dtype
    )


@functools.cache
def why_not_triton_int4(dtype: torch.dtype) -> str:
    """Empty when the kernels give the right numbers on this card, else what was wrong."""
    matrix = trial.int4_matrix().to(torch.device("cuda"))
    return trial.why_not(
        "Triton INT4", lambda: _triton_int4(matrix), matrix, TOLERANCE[dtype], dtype
    )


@functools.cache
def why_not_packed_int8(dtype: torch.dtype) -> str:
    """Empty when the operator gives the right numbers on this card, else what was wrong."""
    matrix = trial.int8_matrix().to(torch.device("cuda"))
    return trial.why_not(
        "packed INT8", lambda: PackedInt8(matrix, dtype), matrix, TOLERANCE[dtype], dtype
    )


@functools.cache
def why_not_tiled_int4(dtype: torch.dtype) -> str:
    """Empty when the operator gives the right numbers on this card, else what was wrong."""
    matrix = trial.int4_matrix().to(torch.device("cuda"))
    return trial.why_not(
        "tiled INT4", lambda: TiledInt4(matrix), matrix, TOLERANCE[torch.bfloat16], dtype
    )


def _triton_int8(matrix: Int8Matrix) -> Kernel:
    from model_runtime.networks.kernels.triton import TritonInt8

    return TritonInt8(matrix)


def _triton_int4(matrix: Int4Matrix) -> Kernel:
    from model_runtime.networks.kernels.triton import TritonInt4

    return TritonInt4(matrix)
