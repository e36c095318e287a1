"""Two of torch's private operators that never write the float weights, in float32 on a CPU.

Measured on one core with AVX512-VNNI, 5120 x 5120, ms a product (float32 | INT8 | INT4):
M=1 8.1 | 2.6 | 1.9, M=16 41 | 8.4 | 35, M=128 163 | 69 | 240.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model_runtime.networks.kept import GROUP
from model_runtime.networks.kernels import trial
from model_runtime.networks.kernels.trial import Kernel
from model_runtime.networks.quantization import INT8_MAX, Int4Matrix, Int8Matrix, unpack_int4

# A unit of the second row in units of the first: the first's rounding error is at most 1/2.
RESIDUAL_STEPS = 254.0
INT8_ZERO = 128
SMALLEST_STEP = 1e-30
# What a kernel may differ from the float product, of its norm. INT4 computes in bfloat16.
INT8_TOLERANCE, INT4_TOLERANCE = 1e-3, 1e-2


def int8_kernel(matrix: Int8Matrix, dtype: torch.dtype) -> Kernel | None:
    """The one that works, or None."""
    return OneDnnInt8(matrix) if dtype == torch.float32 and not why_not_onednn() else None


def int4_kernel(matrix: Int4Matrix, dtype: torch.dtype) -> Kernel | None:
    """The one that works, or None. The operator works on whole blocks of rows."""
    fits = dtype == torch.float32 and len(matrix.packed) % 16 == 0
    return PackedInt4(matrix) if fits and not why_not_packed_int4() else None


class OneDnnInt8:
    """INT8 times INT8 by oneDNN, the activations as two INT8 rows, so as good as 16 bits.

    With one row the products are off by 1 %, with the rest as a second one by 0.004 %, and both
    read the weights once. Each position has its own activation scale, and sums of integers are
    exact: how a prompt is cut into chunks doesn't change the result.
    """

    def __init__(self, matrix: Int8Matrix) -> None:
        self._packed = torch.ops.onednn.qlinear_prepack(matrix.codes.contiguous(), None)
        self._scale = matrix.scale.float()
        self._zeros = torch.zeros(len(self._scale), dtype=torch.int64)

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        # A position of zeros has no step of its own; the smallest one keeps it zeros.
        step = x.abs().amax(dim=1, keepdim=True).div_(INT8_MAX).clamp_(min=SMALLEST_STEP)
        scaled = x / step
        coarse = scaled.round()
        fine = scaled.sub_(coarse).mul_(RESIDUAL_STEPS).round_()
        rows = torch.cat((coarse, fine)).add_(INT8_ZERO).to(torch.uint8)
        both: Tensor = torch.ops.onednn.qlinear_pointwise(
            rows,
            1.0,
            INT8_ZERO,
            self._packed,
            self._scale,
            self._zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        product = torch.add(both[: len(x)], both[len(x) :], alpha=1 / RESIDUAL_STEPS)
        return product.mul_(step).add_(bias)


class PackedInt4:
    """torch's INT4 product for CPUs, in bfloat16: its error of 0.3 % is far below INT4's own.

    It subtracts 8 from a nibble, so codes -7..7 are stored as 1..15 and no zero point is needed.
    """

    def __init__(self, matrix: Int4Matrix) -> None:
        nibbles = unpack_int4(matrix.packed).to(torch.int32) + 8
        self._packed = torch._convert_weight_to_int4pack_for_cpu(nibbles, 1)
        scale = matrix.scale.to(torch.bfloat16).t()
        self._scale_and_zero = torch.stack((scale, torch.zeros_like(scale)), dim=2).contiguous()
        self._padding = -matrix.columns % GROUP

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        half = F.pad(x, (0, self._padding)).to(torch.bfloat16)
        product = torch._weight_int4pack_mm_for_cpu(half, self._packed, GROUP, self._scale_and_zero)
        return product.to(x.dtype).add_(bias)


@functools.cache
def why_not_onednn() -> str:
    """Empty when the operator gives the right numbers on this machine, else what was wrong."""
    matrix = trial.int8_matrix()
    return trial.why_not("onednn INT8", lambda: OneDnnInt8(matrix), matrix, INT8_TOLERANCE)


@functools.cache
def why_not_packed_int4() -> str:
    """Empty when the operator gives the right numbers on this machine, else what was wrong."""
    matrix = trial.int4_matrix()
    return trial.why_not("packed INT4", lambda: PackedInt4(matrix), matrix, INT4_TOLERANCE)
