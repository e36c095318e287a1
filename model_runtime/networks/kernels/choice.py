"""Which kernel multiplies with a quantized matrix here: its device's, or dequantizing."""

from __future__ import annotations

import torch

from model_runtime.networks.kernels import cpu, cuda, npu
from model_runtime.networks.kernels.dequantizing import Dequantizing
from model_runtime.networks.kernels.trial import Kernel
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix


def int8_kernel(matrix: Int8Matrix, dtype: torch.dtype) -> Kernel:
    """For activations of `dtype` on the matrix's device."""
    kernel = None
    match matrix.scale.device.type:
        case "cpu":
            kernel = cpu.int8_kernel(matrix, dtype)
        case "cuda":
            kernel = cuda.int8_kernel(matrix, dtype)
        case "npu":
            kernel = npu.int8_kernel(matrix, dtype)
    return kernel or Dequantizing(matrix, dtype)


def int4_kernel(matrix: Int4Matrix, dtype: torch.dtype) -> Kernel:
    """For activations of `dtype` on the matrix's device."""
    kernel = None
    match matrix.scale.device.type:
        case "cpu":
            kernel = cpu.int4_kernel(matrix, dtype)
        case "cuda":
            kernel = cuda.int4_kernel(matrix, dtype)
        case "npu":
            kernel = npu.int4_kernel(matrix, dtype)
    return kernel or Dequantizing(matrix, dtype)
