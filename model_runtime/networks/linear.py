"""Linear layers whose weights stay INT8 or INT4 in memory, and where they go in a network.

What multiplies with the weights is in kernels/. assembly.py puts the layers into the network.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model_runtime.networks.kept import FEWEST_WORTH_QUANTIZED
from model_runtime.networks.kernels.choice import int4_kernel, int8_kernel
from model_runtime.networks.kernels.trial import Kernel
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix, QuantizedMatrix


class QuantizedLinear(nn.Module):
    """x @ dequantized.T + bias; x is [..., in]."""

    def __init__(self, kernel: Kernel, bias: Tensor) -> None:
        super().__init__()
        self.kernel = kernel
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        product = self.kernel(x.reshape(-1, x.shape[-1]), self.bias)
        return product.view(*x.shape[:-1], -1)


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
        bias = bias_of(parent.get_submodule(child)).to(device=device, dtype=dtype)
        setattr(parent, child, _layer(matrix.to(device), bias))


def bias_of(layer: nn.Module) -> Tensor:
    """A Linear layer's bias, zeros where it has none."""
    bias = dict(layer.named_parameters()).get("bias")
    return torch.zeros(len(layer.get_parameter("weight"))) if bias is None else bias


def head(matrix: QuantizedMatrix, dtype: torch.dtype) -> QuantizedLinear:
    """Logits by the table of words itself: it stays as it is for looking words up."""
    return _layer(matrix, torch.zeros(len(matrix.scale), dtype=dtype))


def _layer(matrix: QuantizedMatrix, bias: Tensor) -> QuantizedLinear:
    if isinstance(matrix, Int8Matrix):
        return Int8Linear(matrix, bias)
    return Int4Linear(matrix, bias)
