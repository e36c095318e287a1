"""The measuring of random networks: their shape, what serves them, and the printed table."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from model_runtime import bench
from model_runtime.bench import CODEGEEX_13B, Speed
from model_runtime.device import Device
from model_runtime.fit import FitError
from model_runtime.models.codegeex import CodeGeeXConfig
from model_runtime.models.linear import Int4Linear, Int8Linear
from model_runtime.quantization import Precision

CPU = Device(torch.device("cpu"), torch.float32, 16, "the test's")
SMALL = CodeGeeXConfig(64, 2, 2, 128, 64)


def test_names() -> None:
    short = bench.sized("random:codegeex-13b@2layers", CPU)
    assert (short.num_layers, short.hidden_size) == (2, 5120)
    assert CODEGEEX_13B.num_layers == 39


def test_more_layers_than_fit_are_refused() -> None:
    with pytest.raises(FitError, match="name fewer layers"):
        bench.sized("random:codegeex-13b@2000layers", CPU)


@pytest.mark.parametrize(
    "name", ["", "codegeex-13b", "random:codegeex-13b@", "random:codegeex-13b@2", "random:gpt"]
)
def test_other_names(name: str) -> None:
    with pytest.raises(ValueError, match="is no random model; use random:codegeex-13b@2layers"):
        bench.sized(name, CPU)


@pytest.mark.parametrize(
    ("precision", "layer"),
    [
        (Precision.FLOAT16, torch.nn.Linear),
        (Precision.INT8, Int8Linear),
        (Precision.INT4, Int4Linear),
    ],
)
def test_every_linear_is_served_as_asked(precision: Precision, layer: type) -> None:
    network = bench.random_network(SMALL, precision, CPU)
    assert sum(isinstance(part, layer) for part in network.modules()) == 18


def test_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CONTEXTS", (8, 64))
    monkeypatch.setattr(bench, "PREFILL", 48)
    speeds = list(bench.measure(SMALL, CPU))
    assert [speed.name for speed in speeds] == ["float32", "int8", "int4"]
    assert all(len(speed.decode) == 2 and min(speed.decode) > 0 for speed in speeds)
    assert all(left.read_bytes > right.read_bytes for left, right in pairwise(speeds))


def test_the_table() -> None:
    speeds = iter([Speed("int8", (100.0, 110.0, 120.0), 8000.0, 500_000_000)])
    lines = list(bench.table(SMALL, speeds, 10e9))
    assert lines[0] == "3 blocks of 64; copying moves 10.0 GB/s"
    assert lines[1].split() == (
        ["ms/token", "at", "128", "at", "512", "at", "2048", "prefill", "1024", "of", "copying"]
    )
    assert lines[2].split() == ["int8", "100.0", "110.0", "120.0", "8000", "50%"]
    assert len(lines[1]) == len(lines[2])
