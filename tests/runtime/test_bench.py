"""Measuring random networks: their shape, what serves them, the table, the files, bad arguments."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import tiny
import torch

from benchmarks import gpu
from model_runtime import __main__, installing
from model_runtime.bench import measuring, random_model, report, speed
from model_runtime.bench.random_model import CODEGEEX_13B, random_network, sized
from model_runtime.bench.speed import Cancel, Machine, Speed, measure_network
from model_runtime.device.kinds import Device
from model_runtime.folders.fit import FitError
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.kept import Precision
from model_runtime.networks.kernels.dequantizing import Dequantizing
from model_runtime.networks.linear import Int4Linear, Int8Linear

CPU = Device(torch.device("cpu"), torch.float32, 16, "cpu in float32: the test's")
SMALL = CodeGeeXConfig(64, 2, 2, 8192, 256)
MACHINE = Machine("2026-11-21", "x86_64, 2 cores", "cpu in float32", "2.13", "tiny", 3, 64, 10e9)
INT8 = Speed(
    "int8",
    (128, 512, 2048),
    (100.0, 110.0, 120.0),
    read=500_000_000,
    weights=600_000_000,
    cache=400_000_000,
    kernel="OneDnnInt8",
    prefill=8000.0,
    several=150.0,
    peak=1_100_000_000,
    cancel=Cancel(1, 99.5),
)


def test_names() -> None:
    short = sized("random:codegeex-13b@2layers", CPU)
    assert (short.num_layers, short.hidden_size) == (2, 5120)
    assert CODEGEEX_13B.num_layers == 39
    assert sized("codegeex-nano", CPU).hidden_size == 256


def test_a_model_folder_gives_its_size(tmp_path: Path) -> None:
    folder = tiny.write_folder(tmp_path / "model", tiny.config())
    assert sized(str(folder), CPU) == tiny.config()


def test_more_layers_than_fit_are_refused() -> None:
    with pytest.raises(FitError, match="name fewer layers"):
        sized("random:codegeex-13b@2000layers", CPU)


@pytest.mark.parametrize(
    "name", ["random:", "random:codegeex-13b@", "random:codegeex-13b@2", "random:gpt"]
)
def test_other_names(name: str) -> None:
    with pytest.raises(ValueError, match="is no random model; use random:codegeex-13b@2layers"):
        sized(name, CPU)


@pytest.mark.parametrize(
    ("precision", "layer"),
    [
        (Precision.FLOAT16, torch.nn.Linear),
        (Precision.INT8, Int8Linear),
        (Precision.INT4, Int4Linear),
    ],
)
def test_every_linear_is_served_as_asked(precision: Precision, layer: type) -> None:
    network = random_network(SMALL, precision, CPU)
    assert sum(isinstance(part, layer) for part in network.modules()) == 18


def test_the_naive_peer_dequantizes_in_every_layer() -> None:
    network = random_network(SMALL, Precision.INT8, CPU)
    random_model.dequantized_each_time(network, CPU)
    layers = [part for part in network.modules() if isinstance(part, Int8Linear)]
    assert len(layers) == 18
    assert all(isinstance(layer.kernel, Dequantizing) for layer in layers)


def test_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """All networks of a run: ours first, torch's each smaller than the one before, the peers."""
    monkeypatch.setattr(speed, "CONTEXTS", (8, 64))
    monkeypatch.setattr(speed, "PREFILL", 48)
    speeds = list(measuring.measure(SMALL, CPU))
    assert [one.name for one in speeds] == [
        *("float32", "int8", "int4", "int8 by onnxruntime"),
        *("int8, dequantized each time", "transformers, float32, eager"),
    ]
    assert all(len(one.decode) == 2 and min(one.decode) > 0 for one in speeds)
    for larger, smaller in pairwise(speeds[:3]):
        assert larger.read > smaller.read
        assert larger.weights > smaller.weights
    assert all(one.prefill and one.several and one.peak for one in speeds[:4])
    cancel = speeds[1].cancel
    assert cancel is not None
    assert cancel.steps <= 1


def test_the_bytes_are_those_of_the_tensors() -> None:
    """The same work a token is the same bytes: transformers' GPT-2 and ours differ in tables."""
    network = random_network(SMALL, Precision.FLOAT16, CPU)
    held = sum(parameter.nbytes for parameter in network.parameters())
    found = measure_network("float32", network, CPU, peer=True)
    tables = 2 * SMALL.max_position_embeddings * 64 * 4
    small_ones = sum(one.nbytes for one in network.parameters() if one.dim() == 1)
    assert found.weights == held
    assert found.read == held - tables - small_ones
    assert found.cache == 2 * 3 * 256 * 64 * 4


# --- what is printed and written ------------------------------------------------------------------


def test_the_table() -> None:
    lines = [*report.heading(MACHINE, INT8.contexts), report.line(INT8, MACHINE)]
    assert lines[1] == "tiny: 3 blocks of 64; copying moves 10.0 GB/s"
    assert lines[2].split("  ")[0] == "ms a token"
    assert lines[3].split() == [
        *("int8", "100.0", "110.0", "120.0", "50%", "8000", "1.50x", "1.10", "GB", "110%")
    ]
    assert len(lines[2]) == len(lines[3])
    assert list(report.ending([INT8])) == ["A cancelled int8 request ran 1 step more, 99.5 ms."]


def test_what_was_not_measured_stays_empty() -> None:
    peer = replace(INT8, prefill=None, several=None, peak=None, cancel=None)
    assert report.line(peer, MACHINE).split() == ["int8", "100.0", "110.0", "120.0", "50%"]
    assert list(report.ending([peer])) == []


def test_json(tmp_path: Path) -> None:
    report.write_json(tmp_path / "figures.json", MACHINE, [INT8])
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert found["machine"]["copied_per_s"] == 10e9
    assert found["speeds"][0]["decode"] == [100.0, 110.0, 120.0]
    assert found["speeds"][0]["of_copying"] == 0.5
    assert found["speeds"][0]["cancel"] == {"steps": 1, "ms": 99.5}


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib isn't installed")
    from model_runtime.bench.plot import draw

    draw(tmp_path / "figures.png", MACHINE, [INT8, replace(INT8, name="transformers")])
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


# --- bad arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "random:gpt"], '"random:gpt" is no random model'),
        (["--model", "/no/such/folder"], "There is no model folder /no/such/folder"),
        (["--json", "/no/such/folder/a.json"], "can't be written"),
        (["--plot", "picture.jpg"], "picture.jpg is no PNG file"),
    ],
)
def test_bad_arguments_are_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["bench", "--device", "cpu", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_picture_without_matplotlib(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert __main__.main(["bench", "--plot", "picture.png"]) == 2
    assert installing.part("bench") in capsys.readouterr().err


# --- the GPU's targets ----------------------------------------------------------------------------


def test_targets_are_met_or_missed(capsys: pytest.CaptureFixture[str]) -> None:
    slow = replace(INT8, decode=(50.0, 51.0, 52.0), prefill=70.0, several=90.0)
    found = dict(gpu.verdicts(MACHINE, [slow, replace(INT8, name="transformers")]))
    assert found == {
        "int8: share of copying": True,
        "int8: prefill": True,
        "int8: 8 candidates": False,
        "int8: memory": True,
        "int8: cancel": True,
    }
    assert "| int8: 8 candidates | 1.80x | <= 1.5x | MISSED |" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_bench"])
    assert gpu.main() == 2
    said = capsys.readouterr().err
    assert said.startswith("gpu_bench: The device cuda was asked for")
    assert said.count("\n") == 1
