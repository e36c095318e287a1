"""INT8 and INT4 against the published code bit for bit, and where that code goes wrong."""

from __future__ import annotations

import pytest
import torch
from golden_model import GoldenModel, matrices
from torch import Tensor

from model_runtime.networks.kept import GROUP
from model_runtime.networks.quantization import (
    INT4_MAX,
    Int4Matrix,
    dequantize_int8,
    pack_int4,
    quantize_int4,
    quantize_int8,
    quantize_rows,
    unpack_int4,
)


def half(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float16)


def test_codes_scales_and_weights_are_the_published_ones(golden_model: GoldenModel) -> None:
    vectors = golden_model.vectors("quant")
    for name in matrices(vectors):
        codes, scale = quantize_int8(vectors[f"{name}.weight_fp16"])
        assert torch.equal(codes, vectors[f"{name}.int8.q"])
        assert torch.equal(scale, vectors[f"{name}.int8.scale"])
        if (expected := vectors.get(f"{name}.int8.dequant_fp16")) is not None:
            assert torch.equal(dequantize_int8(codes, scale), expected)


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


# --- INT4 -------------------------------------------------------------------------------------


def relative_error(found: Tensor, weight: Tensor) -> float:
    return float((found.float() - weight.float()).norm() / weight.float().norm())


def by_row(weight: Tensor) -> Tensor:
    return dequantize_int8(*quantize_rows(weight, INT4_MAX))


def test_int4_of_a_row_is_the_published_one(golden_model: GoldenModel) -> None:
    vectors = golden_model.vectors("quant")
    for name in matrices(vectors):
        codes, scale = quantize_rows(vectors[f"{name}.weight_fp16"], INT4_MAX)
        assert torch.equal(codes, vectors[f"{name}.int4.q"])
        assert torch.equal(scale, vectors[f"{name}.int4.scale"])
        assert torch.equal(pack_int4(codes).view(torch.int8), vectors[f"{name}.int4.packed"])
        assert torch.equal(unpack_int4(pack_int4(codes)), codes)


def test_groups_are_never_worse_than_rows(golden_model: GoldenModel) -> None:
    """A matrix with more inputs than a group gains; the others have one group a row."""
    vectors = golden_model.vectors("quant")
    for name in matrices(vectors):
        weight = vectors[f"{name}.weight_fp16"]
        grouped, rows = quantize_int4(weight).dequantized(), by_row(weight)
        if weight.shape[1] > GROUP:
            assert relative_error(grouped, weight) < relative_error(rows, weight)
        else:
            assert torch.equal(grouped, rows)


@pytest.mark.parametrize("outliers", [1, 4])
def test_groups_keep_outlier_columns_to_themselves(outliers: int) -> None:
    weight = torch.randn(256, 1024, generator=torch.Generator().manual_seed(outliers))
    ordinary = torch.ones(1024, dtype=torch.bool)
    ordinary[:: 1024 // outliers] = False
    weight[:, ~ordinary] *= 30
    weight = weight.half()
    grouped, rows = quantize_int4(weight).dequantized(), by_row(weight)
    assert 2 * relative_error(grouped, weight) < relative_error(rows, weight)


def test_the_even_column_is_the_high_nibble() -> None:
    codes = torch.tensor([[7, -7, -8, 0]], dtype=torch.int8)
    assert pack_int4(codes).tolist() == [[0x79, 0x80]]
    assert unpack_int4(pack_int4(codes)).tolist() == codes.tolist()


def test_an_odd_number_of_columns_has_no_packing() -> None:
    with pytest.raises(ValueError, match="3 columns are an odd number"):
        pack_int4(torch.zeros((1, 3), dtype=torch.int8))


@pytest.mark.parametrize("columns", [1, 63, 64, 65, 100, 256])
def test_any_number_of_columns(columns: int) -> None:
    weight = torch.randn(8, columns, generator=torch.Generator().manual_seed(columns)).half()
    matrix = quantize_int4(weight)
    assert matrix.shape == matrix.dequantized().shape == weight.shape
    assert matrix.packed.shape == (8, -(-columns // 64) * 32)
    step = matrix.scale.float().repeat_interleave(GROUP, dim=1)[:, :columns]
    error = (matrix.dequantized().float() - weight.float()).abs()
    assert (error <= 0.5 * step + weight.float().abs() / 512).all()


@pytest.mark.parametrize(
    ("packed", "scale", "columns"),
    [((4, 32), (4, 2), 64), ((4, 32), (4, 1), 65), ((4, 32), (3, 1), 64), ((4, 31), (4, 1), 62)],
)
def test_int4_parts_that_do_not_match(
    packed: tuple[int, int], scale: tuple[int, int], columns: int
) -> None:
    with pytest.raises(ValueError, match="one scale a group of 64"):
        Int4Matrix(torch.zeros(packed, dtype=torch.uint8), torch.zeros(scale).half(), columns)
