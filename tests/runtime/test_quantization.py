"""INT8 against the published code bit for bit, and where the published code goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model_runtime.quantization import dequantize_int8, quantize_int8

MATRICES = ["layer0.query", "layer0.h_to_4h", "layer1.dense", "layer2.4h_to_h"]
MATRICES += ["top.query", "top.value", "rounding"]


def half(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float16)


@pytest.mark.parametrize("name", MATRICES)
def test_codes_scales_and_weights_are_the_published_ones(goldens: Path, name: str) -> None:
    vectors = load_file(goldens / "model/quant.safetensors")
    codes, scale = quantize_int8(vectors[f"{name}.weight_fp16"])
    assert torch.equal(codes, vectors[f"{name}.int8.q"])
    assert torch.equal(scale, vectors[f"{name}.int8.scale"])
    if name != "rounding":
        assert torch.equal(dequantize_int8(codes, scale), vectors[f"{name}.int8.dequant_fp16"])


def test_halves_round_to_even() -> None:
    codes, scale = quantize_int8(half([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -127.0]]))
    assert codes.tolist() == [[127, 0, 2, 2, 0, -2, -127]]
    assert scale.tolist() == [1.0]


def test_a_row_of_zeros() -> None:
    codes, scale = quantize_int8(half([[0.0, 0.0], [1.0, -1.0]]))
    assert codes.tolist() == [[0, 0], [127, -127]]
    assert dequantize_int8(codes, scale)[0].tolist() == [0.0, 0.0]


def test_tiny_rows_are_clamped_instead_of_wrapping() -> None:
    """1e-5 / 127 rounds to a subnormal that is too small; the published code gives -88 here."""
    codes, scale = quantize_int8(half([[1e-5, -1e-5], [1e-7, 0.0]]))
    assert codes[0].tolist() == [127, -127]
    assert dequantize_int8(codes, scale).isfinite().all()


def test_the_error_is_at_most_half_a_step() -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)).half()
    codes, scale = quantize_int8(weight)
    error = (dequantize_int8(codes, scale).float() - weight.float()).abs()
    # half a step, and the float16 roundings of scale and product
    assert (error <= 0.5 * scale.float().unsqueeze(1) + weight.float().abs() / 1024).all()


@pytest.mark.parametrize("wrong", [torch.zeros(2, 2), torch.zeros(4, dtype=torch.float16)])
def test_only_float16_matrices(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match="float16 matrix"):
        quantize_int8(wrong)
