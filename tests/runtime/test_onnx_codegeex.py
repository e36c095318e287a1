"""The network by onnxruntime: torch's numbers but for INT8's rounding, its own to the last bit."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from test_linear import int4, int8, quantized_folder
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from model_runtime.errors import BadPromptError, WeightsError
from model_runtime.folders import opening
from model_runtime.networks import kv_size, onnx_graph, onnx_trial
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kv_cache import KVCache
from model_runtime.networks.onnx_codegeex import LONGEST_KEPT, OnnxCodeGeeX
from model_runtime.networks.onnx_trial import random_int8_network

CPU = torch.device("cpu")
# Sizes that are no whole number of blocks of 64; heads of another width than a block.
CONFIG = CodeGeeXConfig(
    hidden_size=80, num_layers=3, num_attention_heads=2, vocab_size=300, max_position_embeddings=48
)
IDS = torch.randint(0, 300, (1, 48), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def networks() -> tuple[CodeGeeX, OnnxCodeGeeX]:
    network, matrices, vectors = random_int8_network(CONFIG)
    return network, OnnxCodeGeeX(CONFIG, matrices, vectors)


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def cache(config: CodeGeeXConfig = CONFIG, context: int = 48) -> KVCache:
    return KVCache(
        layers=config.kv_layers,
        heads=config.kv_heads,
        head_dim=config.head_dim,
        context=context,
        slots=2,
        branches=3,
        dtype=torch.float32,
        device=CPU,
    )


def in_pieces(network: OnnxCodeGeeX, sizes: list[int], row: int = 0) -> Tensor:
    """The logits of all positions [48, V], run in pieces of these sizes."""
    rows, found, start = cache().rows([row]), [], 0
    for size in sizes:
        ids = IDS[:, start : start + size]
        found.append(network(ids, rows, start, all_positions=True)[0])
        start += size
    return torch.cat(found)


def test_it_gives_torchs_logits_within_the_rounding_of_activations(
    networks: tuple[CodeGeeX, OnnxCodeGeeX],
) -> None:
    torchs, onnx = networks
    expected = torchs(IDS, cache().rows([0]), 0, all_positions=True)[0]
    found = in_pieces(onnx, [48])
    assert found.dtype == torch.float32
    assert 0 < float((found - expected).norm() / expected.norm()) < 0.03


@pytest.mark.parametrize(
    "sizes", [[47, 1], [1] * 47 + [1], [16, 16, 16], [20, 1, 1, 8, 1, 7, 9, 1]]
)
def test_it_gives_the_same_bits_however_the_text_is_cut(
    networks: tuple[CodeGeeX, OnnxCodeGeeX], sizes: list[int]
) -> None:
    """But for the context's last position run alone: there is no room to run it twice."""
    if not same_bits_here():
        pytest.skip("this processor's INT8 products differ between one position and several")
    whole, pieces = (in_pieces(networks[1], one) for one in ([48], sizes))
    assert torch.equal(whole[:47], pieces[:47])
    torch.testing.assert_close(whole[47], pieces[47], atol=0.2, rtol=0)


def same_bits_here() -> bool:
    """Known of AVX512-VNNI."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512_vnni" in cpuinfo.read_text(encoding="utf-8")


def test_the_last_positions_logits_are_those_of_all(
    networks: tuple[CodeGeeX, OnnxCodeGeeX],
) -> None:
    rows = cache().rows([1])
    last = networks[1](IDS[:, :30], rows, 0)
    assert last.shape == (1, 300)
    assert torch.equal(last[0], in_pieces(networks[1], [48])[29])


def test_rows_that_lie_apart_and_stand_apart(networks: tuple[CodeGeeX, OnnxCodeGeeX]) -> None:
    _, onnx = networks
    store = cache()
    for row, length in ((4, 10), (1, 17)):
        onnx(IDS[:, :length], store.rows([row]), 0)
    found = onnx.step(IDS[0, [10, 17]], torch.tensor([10, 17]), store.rows([4, 1]), 18)
    expected = in_pieces(onnx, [10, 1, 6, 1, 30])
    assert torch.equal(found, expected[[10, 17]])


def test_several_rows_at_once(networks: tuple[CodeGeeX, OnnxCodeGeeX]) -> None:
    _, onnx = networks
    ids = torch.cat([IDS[:, :12], IDS[:, 12:24]])
    both = onnx(ids, cache().rows([2, 3]), 0, all_positions=True)
    assert both.shape == (2, 12, 300)
    for number in (0, 1):
        alone = onnx(ids[number : number + 1], cache().rows([0]), 0, all_positions=True)
        assert torch.equal(both[number], alone[0])


def test_a_prompt_past_the_end(networks: tuple[CodeGeeX, OnnxCodeGeeX]) -> None:
    with pytest.raises(BadPromptError, match="need 49 positions, and the model has 48"):
        networks[1](IDS[:, :9], cache().rows([0]), 40)
    with pytest.raises(BadPromptError, match="need 33 positions, and the model has 32"):
        networks[1](IDS[:, :33], cache(context=32).rows([0]), 0)


def test_a_smaller_cache_serves_as_well(networks: tuple[CodeGeeX, OnnxCodeGeeX]) -> None:
    found = networks[1](IDS[:, :32], cache(context=32).rows([0]), 0, all_positions=True)
    assert torch.equal(found[0], in_pieces(networks[1], [48])[:32])


def test_a_cache_that_is_gone_is_not_kept(networks: tuple[CodeGeeX, OnnxCodeGeeX]) -> None:
    """What is bound to a cache's memory lives as long as the cache."""
    store = cache()
    networks[1](IDS[:, :LONGEST_KEPT], store.rows([0]), 0)
    memory = StorageWeakRef(store.rows([0]).keys[0].untyped_storage())
    assert not memory.expired()
    del store
    gc.collect()
    assert memory.expired()


def test_the_weights_are_there_once() -> None:
    """onnxruntime has them outside of Python's memory."""
    _, matrices, vectors = random_int8_network(CONFIG)
    size = len(onnx_graph.build(CONFIG, matrices, vectors))
    tracemalloc.start()
    try:
        network = OnnxCodeGeeX(CONFIG, matrices, vectors)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < size / 2
    assert network(IDS, cache().rows([0]), 0).shape == (1, CONFIG.vocab_size)


def test_a_folder_in_int8_is_served_by_it_and_one_in_int4_is_not(tmp_path: Path) -> None:
    served = {
        name: opening.load(
            str(quantized_folder(tmp_path / name, quantize)), CPU, torch.float32
        ).network
        for name, quantize in (("int8", int8), ("int4", int4))
    }
    assert isinstance(served["int8"], OnnxCodeGeeX)
    assert isinstance(served["int4"], CodeGeeX)


def test_with_a_cache_in_bfloat16_torch_serves_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_size, "LARGE_CACHE_BYTES", 1)
    folder = str(quantized_folder(tmp_path / "model", int8))
    assert isinstance(opening.load(folder, CPU, torch.float32).network, CodeGeeX)


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = quantized_folder(tmp_path / "model", int8)
    described = (folder / "config.json").read_text(encoding="utf-8")
    changed = described.replace('"num_layers": 2', '"num_layers": 1')
    assert changed != described
    (folder / "config.json").write_text(changed, encoding="utf-8")
    with pytest.raises(WeightsError, match="has 16 tensors this network doesn't have"):
        opening.load(str(folder), CPU, torch.float32)


# --- the trial -----------------------------------------------------------------------------------


@pytest.fixture
def anew() -> Iterator[None]:
    onnx_trial.why_not.cache_clear()
    yield
    onnx_trial.why_not.cache_clear()


def test_it_passes_here(anew: None) -> None:
    assert onnx_trial.why_not() == ""


def test_it_passes_at_a_busy_moment(
    anew: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step takes while something else has the processor is no reason."""
    quick = OnnxCodeGeeX.__call__

    def slow(self: OnnxCodeGeeX, *arguments: Any, **named: Any) -> Tensor:
        time.sleep(0.02)
        return quick(self, *arguments, **named)

    monkeypatch.setattr(OnnxCodeGeeX, "__call__", slow)
    folder = str(quantized_folder(tmp_path / "model", int8))
    assert isinstance(opening.load(folder, CPU, torch.float32).network, OnnxCodeGeeX)


def _missing(*arguments: object) -> None:
    raise ModuleNotFoundError("No module named 'onnx'", name="onnx")


def _refusing(*arguments: object, **named: object) -> None:
    raise RuntimeError("an operator is gone")


def _wrong(self: OnnxCodeGeeX, ids: Tensor, *arguments: object, **named: object) -> Tensor:
    return torch.full((1, ids.shape[1], onnx_trial.SMALL.vocab_size), float("nan"))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ((OnnxCodeGeeX, "__init__", _missing), "onnx isn't installed"),
        ((onnxruntime, "InferenceSession", _refusing), "it fails with RuntimeError"),
        ((OnnxCodeGeeX, "__call__", _wrong), "its logits are off by nan%"),
        # Without products of INT8 it dequantizes, as where it has no kernel for the processor.
        ((onnx_graph, "INT8_PRODUCTS", 0), "it has no INT8 products for"),
    ],
)
def test_where_it_fails_torch_serves_the_model(
    broken: tuple[object, str, object],
    reason: str,
    anew: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = str(quantized_folder(tmp_path / "model", int8))
    monkeypatch.setattr(*broken)
    assert isinstance(opening.load(folder, CPU, torch.float32).network, CodeGeeX)
    assert f"onnxruntime isn't used: {reason}" in caplog.text
