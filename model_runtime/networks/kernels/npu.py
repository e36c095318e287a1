"""INT8 and INT4 products on Ascend NPUs, by torch_npu's weight-only operator. Never run on one.

The operator's names and shapes are those of torch_npu 2.13.0: x [M, in] in float16, weights
[in, out], scales a column or a group of inputs. The first kernel of each kind is tried against the
float product; where it is missing or wrong there is none, and layers dequantize.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model_runtime.logs import LOG
from model_runtime.networks.kept import GROUP
from model_runtime.networks.kernels.trial import Kernel
from model_runtime.networks.quantization import (
    Int4Matrix,
    Int8Matrix,
    QuantizedMatrix,
    quantize_int4,
    quantize_int8,
    unpack_int4,
)

# Of the float product's norm; float16 rounds to 0.05 %.
TOLERANCE = 1e-2
# So many INT4 codes share an int32.
PACKED = 8


class NpuInt8:
    """One scale an output. The view [in, out] of rows of inputs is the layout that the operator's
    documentation calls the faster one."""

    def __init__(self, matrix: Int8Matrix, dtype: torch.dtype) -> None:
        self._weight = matrix.codes.contiguous().t()
        self._scale = matrix.scale.to(dtype)

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        product: Tensor = torch.ops.npu.npu_weight_quant_batchmatmul(x, self._weight, self._scale)
        return product.add_(bias)


class NpuInt4:
    """A scale for every 64 inputs of an output, [groups, out]; eight outputs in an int32."""

    def __init__(self, matrix: Int4Matrix, dtype: torch.dtype) -> None:
        codes = unpack_int4(matrix.packed)[:, : matrix.columns].t().to(torch.int32).contiguous()
        self._weight = torch.ops.npu.npu_convert_weight_to_int4pack(codes)
        self._scale = matrix.scale.t().to(dtype).contiguous()

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        product: Tensor = torch.ops.npu.npu_weight_quant_batchmatmul(
            x, self._weight, self._scale, antiquant_group_size=GROUP
        )
        return product.add_(bias)


def int8_kernel(matrix: Int8Matrix, dtype: torch.dtype) -> Kernel | None:
    """None where the operator is missing or gives wrong numbers."""
    return None if why_not("INT8", matrix.scale.device, dtype) else NpuInt8(matrix, dtype)


def int4_kernel(matrix: Int4Matrix, dtype: torch.dtype) -> Kernel | None:
    """None too for a shape that the operator doesn't take: outputs are packed in eights, and a
    group must be smaller than the number of inputs."""
    if len(matrix.packed) % PACKED or matrix.columns <= GROUP:
        return None
    return None if why_not("INT4", matrix.scale.device, dtype) else NpuInt4(matrix, dtype)


@functools.cache
def why_not(name: str, place: torch.device, dtype: torch.dtype) -> str:
    """Empty when the operator gives the right numbers on `place`, else what was wrong."""
    values = torch.linspace(-1, 1, 64 * 192).view(192, 64).t().half()
    x = torch.linspace(-1, 1, 3 * 192).view(3, 192)
    try:
        matrix, kernel = _trial(name, values, place, dtype)
        expected = F.linear(x, matrix.dequantized().float().cpu())
        bias = torch.zeros(64, dtype=dtype, device=place)
        found = kernel(x.to(place, dtype), bias).float().cpu()
        error = float((found - expected).norm())
        share = error / float(expected.norm())
        reason = "" if share <= TOLERANCE else f"its products are off by {share:.2%}"
    except (RuntimeError, AttributeError, TypeError, NotImplementedError) as failure:
        reason = f"it fails with {type(failure).__name__}"
    if reason:
        LOG.warning("the NPU's %s operator isn't used, layers dequantize: %s", name, reason)
    return reason


def _trial(
    name: str, values: Tensor, place: torch.device, dtype: torch.dtype
) -> tuple[QuantizedMatrix, Kernel]:
    if name == "INT8":
        int8 = Int8Matrix(*quantize_int8(values)).to(place)
        return int8, NpuInt8(int8, dtype)
    int4 = quantize_int4(values).to(place)
    return int4, NpuInt4(int4, dtype)
