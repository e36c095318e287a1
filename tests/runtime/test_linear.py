"""Quantized layers against the float product, the network against the goldens, and loading them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from golden_model import GoldenModel, prompts
from networks import blank_rows, load_network
from safetensors.torch import load_file, save_file
from tiny import config, network, write_folder
from torch import Tensor

from model_runtime.errors import WeightsError
from model_runtime.folders import opening
from model_runtime.networks import linear
from model_runtime.networks.codegeex import CodeGeeX
from model_runtime.networks.kernels import choice, cpu
from model_runtime.networks.kernels.cpu import OneDnnInt8, PackedInt4
from model_runtime.networks.kernels.dequantizing import Dequantizing
from model_runtime.networks.linear import Int4Linear, Int8Linear
from model_runtime.networks.quantization import (
    Int8Matrix,
    QuantizedMatrix,
    quantize_int4,
    quantize_int8,
)

CPU = torch.device("cpu")
SHAPES = [(64, 64), (128, 64), (64, 100), (32, 7), (1, 3), (48, 256)]


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def int8(weight: Tensor) -> QuantizedMatrix:
    return Int8Matrix(*quantize_int8(weight.half()))


def int4(weight: Tensor) -> QuantizedMatrix:
    return quantize_int4(weight.half())


def assert_near(found: Tensor, expected: Tensor, error: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert float((found - expected).norm()) <= error * float(expected.norm())


def without_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "why_not_onednn", lambda: "not wanted")
    monkeypatch.setattr(cpu, "why_not_packed_int4", lambda: "not wanted")


# --- one layer --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("layer", "quantize", "error"), [(Int8Linear, int8, 5e-4), (Int4Linear, int4, 5e-3)]
)
def test_the_layer_is_the_float_product(
    shape: tuple[int, int], layer: Any, quantize: Callable[[Tensor], Any], error: float
) -> None:
    matrix, bias = quantize(random(*shape)), random(shape[0], seed=1)
    for leading in [(1,), (2, 5), (1, 40)]:
        x = random(*leading, shape[1], seed=2)
        assert_near(layer(matrix, bias)(x), F.linear(x, matrix.dequantized().float(), bias), error)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("layer", "quantize"), [(Int8Linear, int8), (Int4Linear, int4)])
def test_without_an_operator_it_dequantizes(
    dtype: torch.dtype, layer: Any, quantize: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_operators(monkeypatch)
    matrix, bias, x = quantize(random(16, 64)), random(16).to(dtype), random(3, 64).to(dtype)
    built = layer(matrix, bias)
    assert isinstance(built.kernel, Dequantizing)
    expected = F.linear(x.float(), matrix.dequantized().float(), bias.float())
    assert_near(built(x).float(), expected, 0 if dtype == torch.float32 else 1e-2)


@pytest.mark.parametrize("kernel", [choice.int8_kernel, choice.int4_kernel])
def test_half_precision_uses_no_operator(kernel: Any) -> None:
    matrix = int8(random(64, 64)) if kernel is choice.int8_kernel else int4(random(64, 64))
    assert isinstance(kernel(matrix, torch.float16), Dequantizing)


def require(reason: str) -> None:
    if reason:
        pytest.skip(f"torch's operator isn't usable on this processor: {reason}")


def test_int8_rows_of_any_size_at_once() -> None:
    """A huge activation costs neither the other positions nor its neighbours their precision."""
    require(cpu.why_not_onednn())
    matrix = Int8Matrix(*quantize_int8(random(64, 256).half()))
    x = random(6, 256, seed=3)
    x[0] *= 1e-20
    x[1, 7] = 1000.0
    x[2] *= 1e6
    x[3] = 0
    found, expected = (
        OneDnnInt8(matrix)(x, torch.zeros(64)),
        F.linear(x, matrix.dequantized().float()),
    )
    for row in range(6):
        assert_near(found[row], expected[row], 1e-3)


def test_int8_does_not_depend_on_how_positions_are_grouped() -> None:
    require(cpu.why_not_onednn())
    kernel = OneDnnInt8(Int8Matrix(*quantize_int8(random(64, 256).half())))
    x = random(40, 256, seed=3)
    bias = random(64)
    parts = [kernel(part, bias) for part in (x[:1], x[1:9], x[9:])]
    assert torch.equal(kernel(x, bias), torch.cat(parts))


def test_int8_of_the_largest_sums() -> None:
    """Every pair of products is the largest there is: 16 bits would overflow, 32 do not."""
    require(cpu.why_not_onednn())
    matrix = Int8Matrix(*quantize_int8(torch.ones(64, 20480).half()))
    x = torch.ones(2, 20480)
    x[1] = -1
    assert_near(
        OneDnnInt8(matrix)(x, torch.zeros(64)), F.linear(x, matrix.dequantized().float()), 1e-3
    )


def test_int4_extremes() -> None:
    require(cpu.why_not_packed_int4())
    matrix, x = quantize_int4(random(64, 128).half()), random(4, 128, seed=3)
    x[0] *= 1e6
    x[1] = 0
    found, expected = (
        PackedInt4(matrix)(x, torch.zeros(64)),
        F.linear(x, matrix.dequantized().float()),
    )
    for row in range(4):
        assert_near(found[row], expected[row], 6e-3)


@pytest.mark.parametrize("broken", ["missing", "wrong"])
@pytest.mark.parametrize(
    ("trial", "operator"), [("why_not_onednn", "OneDnnInt8"), ("why_not_packed_int4", "PackedInt4")]
)
def test_a_broken_operator_is_found_out(
    broken: str,
    trial: str,
    operator: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def make(matrix: QuantizedMatrix) -> Any:
        if broken == "missing":
            raise AttributeError("no such operator")
        return lambda x, bias: 1.02 * F.linear(x, matrix.dequantized().float(), bias)

    monkeypatch.setattr(cpu, operator, make)
    monkeypatch.setattr(logging.getLogger("codegeex.runtime"), "propagate", True)
    reason = getattr(cpu, trial).__wrapped__()
    assert reason in {"it fails with AttributeError", "its products are off by 2.00%"}
    assert f"kernel isn't used: {reason}" in caplog.text


# --- the network ------------------------------------------------------------------------------


def quantized(
    golden: GoldenModel, quantize: Callable[[Tensor], Any], dtype: torch.dtype
) -> CodeGeeX:
    """The published tiny model with every Linear of its blocks quantized and served so."""
    built = golden.network()
    matrices = {
        f"{name}.weight": quantize(part.weight.half())
        for name, part in built.named_modules()
        if isinstance(part, torch.nn.Linear)
    }
    assert len(matrices) == 6 * (golden.config.num_layers + 1)
    linear.replace(built, matrices, CPU, dtype)
    return built.to(dtype).eval()


def logits_of(built: CodeGeeX, ids: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    rows = blank_rows(built.config, dtype=dtype)
    logits: Tensor = built(ids.unsqueeze(0), rows, 0, all_positions=True)[0]
    return logits


@pytest.mark.parametrize(
    ("dtype", "name", "atol"),
    [(torch.float32, "logits_int8_fp32", 1e-4), (torch.float16, "logits_int8_fp16cpu", 0.05)],
)
def test_dequantizing_gives_the_published_int8_logits(
    golden_model: GoldenModel,
    dtype: torch.dtype,
    name: str,
    atol: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_operators(monkeypatch)
    vectors, built = golden_model.vectors("quant"), quantized(golden_model, int8, dtype)
    for prompt in prompts(vectors):
        found = logits_of(built, vectors[f"{prompt}.input_ids"], dtype)
        expected = vectors[f"{prompt}.{name}"].float()
        torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def test_the_operator_gives_the_published_int8_logits(golden_model: GoldenModel) -> None:
    """It doesn't round the dequantized weights to float16; INT8 itself costs more than that."""
    require(cpu.why_not_onednn())
    vectors, built = golden_model.vectors("quant"), quantized(golden_model, int8, torch.float32)
    assert isinstance(built.transformer.layers[0].mlp.dense_h_to_4h.kernel, OneDnnInt8)
    atol = golden_model.about["quant_effect_max_abs"]["int8_vs_fp32"] / 8
    for prompt in prompts(vectors):
        found = logits_of(built, vectors[f"{prompt}.input_ids"])
        expected = vectors[f"{prompt}.logits_int8_fp32"]
        torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def test_the_int4_operator_gives_the_logits_of_dequantizing(
    golden_model: GoldenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What bfloat16 costs is small beside what INT4 itself costs."""
    require(cpu.why_not_packed_int4())
    vectors = golden_model.vectors("quant")
    prompt = prompts(vectors)[0]
    ids, exact = vectors[f"{prompt}.input_ids"], vectors[f"{prompt}.logits_fp32"]
    served = quantized(golden_model, int4, torch.float32)
    assert isinstance(served.transformer.layers[0].mlp.dense_h_to_4h.kernel, PackedInt4)
    found = logits_of(served, ids)
    without_operators(monkeypatch)
    expected = logits_of(quantized(golden_model, int4, torch.float32), ids)
    assert (found - expected).norm() < 0.1 * (expected - exact).norm()


# --- from a file ------------------------------------------------------------------------------


def quantized_folder(folder: Path, quantize: Callable[[Tensor], Any]) -> Path:
    """The tiny model with all of its matrices quantized, as a model folder."""
    write_folder(folder, config())
    tensors = {name: tensor.half() for name, tensor in network(config()).state_dict().items()}
    for name in [name for name, tensor in tensors.items() if tensor.dim() == 2]:
        matrix = quantize(tensors[name])
        tensors[name] = matrix.codes if isinstance(matrix, Int8Matrix) else matrix.packed
        tensors[f"{name}.scale"] = matrix.scale
    save_file(tensors, folder / "model.safetensors")
    weights_changed(folder)
    return folder


def weights_changed(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    description["files"]["model.safetensors"] = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (folder / "config.json").write_text(json.dumps(description), encoding="utf-8")


@pytest.mark.parametrize(("layer", "quantize"), [(Int8Linear, int8), (Int4Linear, int4)])
def test_large_models_stay_quantized_and_small_ones_do_not(
    layer: Any, quantize: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = quantized_folder(tmp_path / "model", quantize)
    small = load_network(folder)
    assert not any(isinstance(part, layer) for part in small.modules())
    monkeypatch.setattr(linear, "FEWEST_WORTH_QUANTIZED", 1)
    large = load_network(folder)
    assert sum(isinstance(part, layer) for part in large.modules()) == 18 + (layer is Int8Linear)
    assert not any(isinstance(part, torch.nn.Linear) for part in large.modules())
    ids = torch.arange(40, 60)
    assert_near(logits_of(large, ids), logits_of(small, ids), 2e-2)


@pytest.mark.parametrize("change", ["scale", "codes"])
def test_int4_tensors_that_do_not_match(tmp_path: Path, change: str) -> None:
    folder = quantized_folder(tmp_path / "model", int4)
    tensors = load_file(folder / "model.safetensors")
    name = "transformer.layers.0.mlp.dense_4h_to_h.weight"
    changed = f"{name}.scale" if change == "scale" else name
    tensors[changed] = tensors[changed][:, :1].contiguous()
    save_file(tensors, folder / "model.safetensors")
    weights_changed(folder)
    with pytest.raises(WeightsError, match=f"{name} in .* and its scales don't match: packed INT4"):
        opening.load(str(folder), CPU, torch.float32)
