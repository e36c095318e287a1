"""INT8 weights by the paper's rule: one absmax scale per output row, symmetric, no zero point.

It knows tensors, not models. scripts/nano/export quantizes, weights.py dequantizes.
"""

from __future__ import annotations

import torch
from torch import Tensor

INT8_MAX = 127


def quantize_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[out, in] float16 to int8 codes [out, in] and float16 scales [out].

    The maximum, the scale and the quotient are each rounded to float16, as in the published code:
    dividing in float32 changes 1.2 % of the codes by one. Where the published code divides by a
    zero scale or wraps around (all-zero and very small rows) the codes are 0 or clamped instead.
    """
    if weight.dtype != torch.float16 or weight.dim() != 2:
        raise ValueError(f"a float16 matrix is needed, not {weight.dtype} of {weight.dim()} axes")
    scale = weight.abs().amax(dim=1) / INT8_MAX
    divisor = torch.where(scale > 0, scale, torch.ones_like(scale))
    codes = (weight / divisor.unsqueeze(1)).round().clamp(-INT8_MAX, INT8_MAX)
    return codes.to(torch.int8), scale


def dequantize_int8(codes: Tensor, scale: Tensor) -> Tensor:
    """The float16 weights [out, in]: float16 code times float16 scale, one rounding."""
    return codes.to(torch.float16) * scale.unsqueeze(1)
