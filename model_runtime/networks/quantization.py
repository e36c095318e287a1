"""INT8 and INT4 weights: codes and scales, how they are made and what they stand for.

It knows tensors, not models or kernels: linear.py multiplies with them, assembly.py reads
them from files, scripts/nano/export makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model_runtime.networks.kept import GROUP

INT8_MAX = 127
INT4_MAX = 7


@dataclass(frozen=True, slots=True)
class Int8Matrix:
    """codes int8 [out, in], scale float16 [out]. Raises ValueError when they don't match."""

    codes: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        matrix = self.codes.dtype == torch.int8 and self.codes.dim() == 2
        if not matrix or self.scale.shape != self.codes.shape[:1]:
            raise ValueError("INT8 codes and one scale a row are needed")

    @property
    def shape(self) -> torch.Size:
        return self.codes.shape

    def dequantized(self) -> Tensor:
        return dequantize_int8(self.codes, self.scale)

    def to(self, device: torch.device) -> Int8Matrix:
        return Int8Matrix(self.codes.to(device), self.scale.to(device))


@dataclass(frozen=True, slots=True)
class Int4Matrix:
    """packed uint8 [out, groups * 32], scale float16 [out, groups], of `columns` inputs.

    The last group's codes past `columns` are zeros. Raises ValueError when they don't match.
    """

    packed: Tensor
    scale: Tensor
    columns: int

    def __post_init__(self) -> None:
        rows, groups = len(self.packed), -(-self.columns // GROUP)
        fits = self.packed.dtype == torch.uint8 and self.packed.shape == (rows, groups * GROUP // 2)
        if not fits or self.scale.shape != (rows, groups):
            raise ValueError(f"packed INT4 codes and one scale a group of {GROUP} are needed")

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.packed), self.columns))

    def dequantized(self) -> Tensor:
        return dequantize_int4(self)

    def to(self, device: torch.device) -> Int4Matrix:
        return Int4Matrix(self.packed.to(device), self.scale.to(device), self.columns)


QuantizedMatrix = Int8Matrix | Int4Matrix


def quantize_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[out, in] float16 to int8 codes [out, in] and float16 scales [out], by the paper's rule.

    The maximum, the scale and the quotient are each rounded to float16, as in the published code:
    dividing in float32 changes 1.2 % of the codes by one. Where the published code divides by a
    zero scale or wraps around (all-zero and very small rows) the codes are 0 or clamped instead.
    """
    return quantize_rows(weight, INT8_MAX)


def dequantize_int8(codes: Tensor, scale: Tensor) -> Tensor:
    """The float16 weights [out, in]: float16 code times float16 scale, one rounding."""
    return codes.to(torch.float16) * scale.unsqueeze(1)


def quantize_int4(weight: Tensor) -> Int4Matrix:
    """[out, in] float16, the same rule with a scale for every 64 neighbouring inputs."""
    _require_half_matrix(weight)
    rows, columns = weight.shape
    padded = F.pad(weight, (0, -columns % GROUP))
    codes, scale = quantize_rows(padded.reshape(-1, GROUP), INT4_MAX)
    return Int4Matrix(pack_int4(codes.view(rows, -1)), scale.view(rows, -1), columns)


def dequantize_int4(matrix: Int4Matrix) -> Tensor:
    """The float16 weights [out, in]: float16 code times float16 scale, one rounding."""
    codes = unpack_int4(matrix.packed).to(torch.float16)
    grouped = codes.view(len(codes), -1, GROUP) * matrix.scale.unsqueeze(2)
    return grouped.flatten(1)[:, : matrix.columns]


def pack_int4(codes: Tensor) -> Tensor:
    """int8 codes [out, in] of -8..7 to uint8 [out, in / 2], the even column in the high nibble."""
    if codes.shape[1] % 2:
        raise ValueError(f"two codes share a byte, and {codes.shape[1]} columns are an odd number")
    nibbles = codes.view(torch.uint8) & 15
    return (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]


def unpack_int4(packed: Tensor) -> Tensor:
    """The int8 codes [out, in] of -8..7 in uint8 [out, in / 2]."""
    nibbles = torch.stack((packed >> 4, packed & 15), dim=2).flatten(1)
    return (nibbles ^ 8).view(torch.int8) - 8


def quantize_rows(weight: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """[out, in] float16 to int8 codes of -largest..largest and a float16 scale a row, by the
    paper's rule. Its INT4 is this one; an outlier costs its whole row precision."""
    _require_half_matrix(weight)
    scale = weight.abs().amax(dim=1) / largest
    divisor = torch.where(scale > 0, scale, torch.ones_like(scale))
    codes = (weight / divisor.unsqueeze(1)).round().clamp(-largest, largest)
    return codes.to(torch.int8), scale


def _require_half_matrix(weight: Tensor) -> None:
    if weight.dtype != torch.float16 or weight.dim() != 2:
        raise ValueError(f"a float16 matrix is needed, not {weight.dtype} of {weight.dim()} axes")
