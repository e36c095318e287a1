"""What a model needs, against the tensors themselves, and the sentence when it is too much."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model_runtime import fit, system_memory, weights
from model_runtime.fit import GIB, FitError, Need
from model_runtime.models.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.quantization import Precision

LARGE = CodeGeeXConfig(5120, 39, 40, 52224, 2048)
NANO = CodeGeeXConfig(256, 4, 4, 8192, 512)
TINY = CodeGeeXConfig(64, 3, 4, 512, 64)
CPU = torch.device("cpu")


@pytest.mark.parametrize(("config", "count"), [(LARGE, 12_873_943_040), (TINY, 241_024)])
def test_parameters(config: CodeGeeXConfig, count: int) -> None:
    assert sum(fit.parameters(config)) == count
    with torch.device("meta"):
        network = CodeGeeX(config)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(
    ("stored", "dtype", "weights_gb", "cache_gb"),
    [
        (Precision.FLOAT16, torch.float16, 25.75, 6.7),
        (Precision.INT8, torch.float16, 13.17, 6.7),
        (Precision.INT4, torch.float16, 7.66, 6.7),
        (Precision.FLOAT16, torch.float32, 51.5, 13.4),
        (Precision.INT8, torch.float32, 13.76, 13.4),
        (Precision.INT4, torch.float32, 8.24, 13.4),
    ],
)
def test_what_codegeex_13b_needs(
    stored: Precision, dtype: torch.dtype, weights_gb: float, cache_gb: float
) -> None:
    found = fit.need(LARGE, stored, dtype)
    assert found.weights / 1e9 == pytest.approx(weights_gb, abs=0.01)
    assert found.cache / 1e9 == pytest.approx(cache_gb, abs=0.05)
    assert 0 < found.working < 1e9


def test_a_small_model_is_served_in_float_however_it_is_stored() -> None:
    needs = fit.needs(NANO, torch.float32)
    assert len({need.total for need in needs.values()}) == 1
    assert needs[Precision.INT8].total < 0.2 * GIB


NEEDS = {
    Precision.FLOAT16: Need(24 * GIB, 6 * GIB, 0),
    Precision.INT8: Need(12 * GIB, 6 * GIB, 0),
    Precision.INT4: Need(7 * GIB, 6 * GIB, 0),
}


@pytest.mark.parametrize(
    ("stored", "free"),
    [("float16", 30), ("int8", 18), ("int4", 13), ("int4", 100), ("float16", None)],
)
def test_what_fits(stored: str, free: int | None) -> None:
    fit.check("big", Precision(stored), NEEDS, None if free is None else free * GIB)


@pytest.mark.parametrize(
    ("stored", "free", "sentence"),
    [
        (
            "float16",
            29,
            "big in float16 needs 30.0 GiB, and 29.0 GiB are free; "
            "in int8 it would fit (18.0 GiB): convert it.",
        ),
        (
            "float16",
            17,
            "big in float16 needs 30.0 GiB, and 17.0 GiB are free; "
            "in int4 it would fit (13.0 GiB): convert it.",
        ),
        (
            "int8",
            13,
            "big in int8 needs 18.0 GiB, and 13.0 GiB are free; "
            "in int4 it would fit (13.0 GiB): convert it.",
        ),
        (
            "int4",
            12,
            "big in int4 needs 13.0 GiB, and 12.0 GiB are free; "
            "no precision fits (13.0 GiB at least): use a smaller model.",
        ),
    ],
)
def test_what_is_refused(stored: str, free: int, sentence: str) -> None:
    with pytest.raises(FitError) as caught:
        fit.check("big", Precision(stored), NEEDS, free * GIB)
    assert str(caught.value) == sentence


def meminfo(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = path / "meminfo"
    file.write_text(text, encoding="ascii")
    monkeypatch.setattr(system_memory, "MEMORY", file)


def test_loading_asks_before_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, "MemTotal: 9 kB\nMemAvailable: 2048 kB\n", monkeypatch)
    monkeypatch.setattr(weights, "load_file", lambda _path: pytest.fail("weights were read"))
    with pytest.raises(FitError, match=r"^codegeex-nano in int8 needs 0\.\d GiB, and 0\.0 GiB"):
        weights.load("codegeex-nano", CPU, torch.float32)


@pytest.mark.parametrize("text", ["", "MemTotal: 9 kB\n", "MemAvailable: much kB\n"])
def test_a_system_that_does_not_tell(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo(tmp_path, text, monkeypatch)
    assert system_memory.free_memory() is None
    assert weights.load("codegeex-nano", CPU, torch.float32).name == "codegeex-nano"
