"""torch_npu's weight-only operators by name, with CPU kernels made from its documentation.

The signatures are those of torch_npu 2.13.0; the kernels check what the documentation demands of
shapes and types. Import it to have torch.ops.npu.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCHEMAS = (
    "npu_weight_quant_batchmatmul(Tensor x, Tensor weight, Tensor antiquant_scale, "
    "Tensor? antiquant_offset=None, Tensor? quant_scale=None, Tensor? quant_offset=None, "
    "Tensor? bias=None, int antiquant_group_size=0, int inner_precise=0, int? weight_dtype=None)"
    " -> Tensor",
    "npu_convert_weight_to_int4pack(Tensor weight, int inner_k_tiles=0) -> Tensor",
)

library = torch.library.Library("npu", "DEF")
for schema in SCHEMAS:
    library.define(schema)


def weight_quant_batchmatmul(
    x: Tensor,
    weight: Tensor,
    antiquant_scale: Tensor,
    antiquant_offset: Tensor | None = None,
    quant_scale: Tensor | None = None,
    quant_offset: Tensor | None = None,
    bias: Tensor | None = None,
    antiquant_group_size: int = 0,
    inner_precise: int = 0,
    weight_dtype: int | None = None,
) -> Tensor:
    """x [M, K]; weight int8 [K, N], or int32 [K, N / 8]; scale [N], or [ceil(K / group), N]."""
    torch._check(x.dim() == 2 and x.dtype in (torch.float16, torch.bfloat16), lambda: "x")
    torch._check(antiquant_scale.dtype == x.dtype, lambda: "scale's type")
    torch._check(weight.dtype in (torch.int8, torch.int32), lambda: "weight's type")
    codes = weight if weight.dtype == torch.int8 else unpacked(weight)
    inputs, outputs = codes.shape
    torch._check(inputs == x.shape[1], lambda: "K")
    scale = antiquant_scale.float()
    if group := antiquant_group_size:
        torch._check(group % 32 == 0 and 32 <= group <= inputs - 1, lambda: "group size")
        torch._check(scale.shape == (-(-inputs // group), outputs), lambda: "scale's shape")
        scale = scale.repeat_interleave(group, dim=0)[:inputs]
    else:
        torch._check(scale.shape in ((outputs,), (1, outputs)), lambda: "scale's shape")
    return (x.float() @ (codes.float() * scale)).to(x.dtype)


def convert_weight_to_int4pack(weight: Tensor, inner_k_tiles: int = 0) -> Tensor:
    """int32 of -8..7, [k, n] to [k, n / 8]; the order within an int32 is the operators' own."""
    torch._check(weight.dtype == torch.int32 and weight.is_contiguous(), lambda: "weight")
    torch._check(weight.shape[1] % 8 == 0, lambda: "eights")
    torch._check(bool(((weight >= -8) & (weight <= 7)).all()), lambda: "range")
    nibbles = (weight & 15).view(len(weight), -1, 8).to(torch.int64)
    packed = (nibbles << (4 * torch.arange(8))).sum(dim=2)
    return packed.to(torch.int32)


def unpacked(packed: Tensor) -> Tensor:
    nibbles = (packed.unsqueeze(2) >> (4 * torch.arange(8, dtype=torch.int32))) & 15
    return ((nibbles ^ 8) - 8).flatten(1)


library.impl("npu_weight_quant_batchmatmul", weight_quant_batchmatmul, "CPU")
library.impl("npu_convert_weight_to_int4pack", convert_weight_to_int4pack, "CPU")
