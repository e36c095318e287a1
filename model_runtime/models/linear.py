"""Linear layers whose weights stay INT8 or INT4 in memory.

A kernel takes x [M, in] and gives x @ dequantized.T as [M, out]. On a CPU in float32 two of torch's
private operators do so without ever writing the float weights; each is tried on a small matrix
first, and where it is missing or wrong a layer dequantizes before every product, which is always
right. weights.py puts the layers into the network.

Measured on one core with AVX512-VNNI, 5120 x 5120, ms a product (float32 | INT8 | INT4):
M=1 8.1 | 2.6 | 1.9, M=16 41 | 8.4 | 35, M=128 163 | 69 | 240.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from model_runtime.logs import LOG
from model_runtime.quantization import (
    GROUP,
    INT8_MAX,
    Int4Matrix,
    Int8Matrix,
    QuantizedMatrix,
    quantize_int4,
    quantize_int8,
    unpack_int4,
)

Kernel = Callable[[Tensor], Tensor]

# Fewer weights than this in a network's Linear layers and INT8 is slower than float32, because a
# quantized layer costs more operators. Measured, ms a token at 128, float32 | INT8 on one core:
# 4 M (the embedded model) 4.6 | 10, 38 M 25 | 29, 85 M 43 | 37.
FEWEST_WORTH_QUANTIZED = 64_000_000

# A unit of the second row in units of the first: the first's rounding error is at most 1/2.
RESIDUAL_STEPS = 254.0
INT8_ZERO = 128
SMALLEST_STEP = 1e-30
# What a kernel may differ from the float product, of its norm. INT4 computes in bfloat16.
INT8_TOLERANCE, INT4_TOLERANCE = 1e-3, 1e-2


class QuantizedLinear(nn.Module):
    """x @ dequantized.T + bias; x is [..., in]."""

    def __init__(self, kernel: Kernel, bias: Tensor) -> None:
        super().__init__()
        self.kernel = kernel
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        product = self.kernel(x.reshape(-1, x.shape[-1]))
        return product.add_(self.bias).view(*x.shape[:-1], -1)


class Int8Linear(QuantizedLinear):
    def __init__(self, matrix: Int8Matrix, bias: Tensor) -> None:
        super().__init__(int8_kernel(matrix, bias.dtype), bias)


class Int4Linear(QuantizedLinear):
    def __init__(self, matrix: Int4Matrix, bias: Tensor) -> None:
        super().__init__(int4_kernel(matrix, bias.dtype), bias)


def worth_serving(
    network: nn.Module, matrices: Mapping[str, QuantizedMatrix]
) -> dict[str, QuantizedMatrix]:
    """Those of `matrices` that replace() should take; the others are better dequantized once."""
    linear = {f"{n}.weight" for n, part in network.named_modules() if isinstance(part, nn.Linear)}
    served = {name: matrix for name, matrix in matrices.items() if name in linear}
    total = sum(matrix.shape.numel() for matrix in served.values())
    return served if total >= FEWEST_WORTH_QUANTIZED else {}


def replace(
    network: nn.Module,
    matrices: Mapping[str, QuantizedMatrix],
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Put quantized layers where `network` has an nn.Linear of that name, its bias loaded.

    They compute in `dtype` on `device`.
    """
    for name, matrix in matrices.items():
        path, _, child = name.removesuffix(".weight").rpartition(".")
        parent = network.get_submodule(path)
        bias = parent.get_submodule(child).get_parameter("bias").to(device=device, dtype=dtype)
        setattr(parent, child, _layer(matrix.to(device), bias))


def _layer(matrix: QuantizedMatrix, bias: Tensor) -> QuantizedLinear:
    if isinstance(matrix, Int8Matrix):
        return Int8Linear(matrix, bias)
    return Int4Linear(matrix, bias)


# --- kernels ----------------------------------------------------------------------------------


class Dequantizing:
    """Makes the float weights anew for every product: right everywhere, fast nowhere.

    The whole matrix is written and read again, so a decode step is slower than in float. On CUDA
    all layers run here until a fused kernel takes its place in int8_kernel and int4_kernel; this
    has not been run there.
    """

    def __init__(self, matrix: QuantizedMatrix, dtype: torch.dtype) -> None:
        self._matrix = matrix
        self._dtype = dtype

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._matrix.dequantized().to(self._dtype))


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

    def __call__(self, x: Tensor) -> Tensor:
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
        return torch.add(both[: len(x)], both[len(x) :], alpha=1 / RESIDUAL_STEPS).mul_(step)


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

    def __call__(self, x: Tensor) -> Tensor:
        half = F.pad(x, (0, self._padding)).to(torch.bfloat16)
        product = torch._weight_int4pack_mm_for_cpu(half, self._packed, GROUP, self._scale_and_zero)
        return product.to(x.dtype)


def int8_kernel(matrix: Int8Matrix, dtype: torch.dtype) -> Kernel:
    on_cpu = matrix.scale.device.type == "cpu" and dtype == torch.float32
    if on_cpu and not why_not_onednn():
        return OneDnnInt8(matrix)
    return Dequantizing(matrix, dtype)


def int4_kernel(matrix: Int4Matrix, dtype: torch.dtype) -> Kernel:
    on_cpu = matrix.scale.device.type == "cpu" and dtype == torch.float32
    # The operator works on whole blocks of rows.
    if on_cpu and len(matrix.packed) % 16 == 0 and not why_not_packed_int4():
        return PackedInt4(matrix)
    return Dequantizing(matrix, dtype)


@functools.cache
def why_not_onednn() -> str:
    """Empty when the operator gives the right numbers on this machine, else what was wrong.

    The trial's weights are all of the largest size: on processors that add pairs of products in 16
    bits these overflow.
    """
    trial = Int8Matrix(*quantize_int8(_signs(torch.float16)))
    return _trial("onednn INT8", lambda: OneDnnInt8(trial), trial, INT8_TOLERANCE)


@functools.cache
def why_not_packed_int4() -> str:
    """Empty when the operator gives the right numbers on this machine, else what was wrong."""
    values = torch.linspace(-1, 1, 64 * 128, dtype=torch.float32).view(128, 64).t()
    trial = quantize_int4(values.half())
    return _trial("packed INT4", lambda: PackedInt4(trial), trial, INT4_TOLERANCE)


def _signs(dtype: torch.dtype) -> Tensor:
    """[64, 128] of +1 and -1 in runs of other lengths a row, so that rows have large sums."""
    row, column = torch.meshgrid(torch.arange(64), torch.arange(128), indexing="ij")
    return 1.0 - 2.0 * ((column // (row + 1)) % 2).to(dtype)


def _trial(name: str, make: Callable[[], Kernel], matrix: QuantizedMatrix, tolerance: float) -> str:
    x = _signs(torch.float32)[:3] * torch.linspace(0.5, 1, 128)
    expected = F.linear(x, matrix.dequantized().float())
    try:
        found = make()(x)
        error = float((found - expected).norm() / expected.norm())
        reason = "" if error <= tolerance else f"its products are off by {error:.2%}"
    except (RuntimeError, AttributeError, TypeError, NotImplementedError) as failure:
        reason = f"it fails with {type(failure).__name__}"
    if reason:
        LOG.warning("the %s operator isn't used, layers dequantize: %s", name, reason)
    return reason
