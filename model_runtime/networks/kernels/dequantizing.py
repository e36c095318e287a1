"""The product that is right on every device: the float weights are made anew each time.

The whole matrix is written and read again, so a decode step is slower than in float.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model_runtime.networks.quantization import QuantizedMatrix


class Dequantizing:
    def __init__(self, matrix: QuantizedMatrix, dtype: torch.dtype) -> None:
        self._matrix = matrix
        self._dtype = dtype

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        return F.linear(x, self._matrix.dequantized().to(self._dtype), bias)
