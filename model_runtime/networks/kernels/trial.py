"""A kernel's trial on one small layer, before it is trusted with a model's.

torch's fast operators are private and Triton compiles for the card it finds: either may be missing
or wrong on a given machine. The reason is logged once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from model_runtime.logs import LOG
from model_runtime.networks.quantization import (
    Int4Matrix,
    Int8Matrix,
    QuantizedMatrix,
    quantize_int4,
    quantize_int8,
)

Kernel = Callable[[Tensor, Tensor], Tensor]


def why_not(
    name: str,
    make: Callable[[], Kernel],
    matrix: QuantizedMatrix,
    tolerance: float,
    dtype: torch.dtype = torch.float32,
) -> str:
    """Empty when the kernel gives the right numbers on this machine, else what was wrong.

    `tolerance` is what it may differ from the product in float32, of its norm.
    """
    all_rows = (_signs(torch.float32) * torch.linspace(0.5, 1, 128)).to(matrix.scale.device, dtype)
    bias = torch.linspace(-1, 1, 64).to(all_rows)
    weight = matrix.dequantized().float()

    def wrong() -> str:
        kernel, reason = make(), ""
        # A kernel may take another way for one row, for a few and for many.
        for x in (all_rows[:1], all_rows[:3], all_rows):
            expected = F.linear(x.float(), weight, bias.float())
            error = float((kernel(x, bias) - expected).norm() / expected.norm())
            if not error <= tolerance:  # nor when it is no number
                reason = f"its products are off by {error:.2%}"
        return reason

    return outcome(f"the {name} kernel", wrong)


def outcome(name: str, wrong: Callable[[], str]) -> str:
    """What `wrong` says of the thing of that name, or how it failed; empty when it may be used."""
    try:
        reason = wrong()
    except ImportError as failure:
        reason = f"{failure.name} isn't installed"
    # Whatever a compiler, a driver or a new version raises: there is still a right way without.
    except Exception as failure:
        reason = f"it fails with {type(failure).__name__}"
    if reason:
        LOG.warning("%s isn't used: %s", name, reason)
    return reason


def int8_matrix() -> Int8Matrix:
    """[64, 128], all weights of the largest size: where a processor adds pairs of products in 16
    bits these overflow."""
    return Int8Matrix(*quantize_int8(_signs(torch.float16)))


def int4_matrix() -> Int4Matrix:
    """[64, 128] of every size."""
    values = torch.linspace(-1, 1, 64 * 128, dtype=torch.float32).view(128, 64).t()
    return quantize_int4(values.half())


def _signs(dtype: torch.dtype) -> Tensor:
    """[64, 128] of +1 and -1 in runs of other lengths a row, so that rows have large sums."""
    row, column = torch.meshgrid(torch.arange(64), torch.arange(128), indexing="ij")
    return 1.0 - 2.0 * ((column // (row + 1)) % 2).to(dtype)
