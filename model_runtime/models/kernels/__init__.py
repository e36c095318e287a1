"""Which kernel multiplies with a quantized matrix here.

A kernel takes x [M, in] and bias [out] and gives x @ dequantized.T + bias as [M, out], in the type
of x. One file a family. A kernel is used when its trial on a small matrix gave the right numbers
(trial.py); where there is none the layer dequantizes before every product, which is always right.
"""

from __future__ import annotations

import torch

from model_runtime.models.kernels import cpu
from model_runtime.models.kernels.dequantizing import Dequantizing
from model_runtime.models.kernels.trial import Kernel
from model_runtime.quantization import Int4Matrix, Int8Matrix

__all__ = ["Dequantizing", "Kernel", "int4_kernel", "int8_kernel"]


def int8_kernel(matrix: Int8Matrix, dtype: torch.dtype) -> Kernel:
    """For activations of `dtype` on the matrix's device."""
    if matrix.scale.device.type == "cpu" and dtype == torch.float32 and not cpu.why_not_onednn():
        return cpu.OneDnnInt8(matrix)
    return Dequantizing(matrix, dtype)


def int4_kernel(matrix: Int4Matrix, dtype: torch.dtype) -> Kernel:
    """For activations of `dtype` on the matrix's device."""
    on_cpu = matrix.scale.device.type == "cpu" and dtype == torch.float32
    # The operator works on whole blocks of rows.
    if on_cpu and len(matrix.packed) % 16 == 0 and not cpu.why_not_packed_int4():
        return cpu.PackedInt4(matrix)
    return Dequantizing(matrix, dtype)
