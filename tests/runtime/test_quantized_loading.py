"""A model stored in float, kept in fewer bits: what it computes and what memory it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from golden_model import GoldenModel, prompts
from networks import load_network
from test_codegeex import full
from torch import nn

from model_runtime.engine import loading
from model_runtime.engine.counters import Work
from model_runtime.engine.scheduler import Scheduler
from model_runtime.errors import WeightsError
from model_runtime.folders import opening
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.options import QUANTIZATIONS
from model_runtime.wire.protocol import Generate, Result

CPU = torch.device("cpu")
SCHEMES = QUANTIZATIONS[1:]
MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network of a width that every scheme takes."""
    return tiny.write_folder(tmp_path_factory.mktemp("made") / "model", tiny.config(hidden=64))


# Beside the error of the published scheme, which rounds weights alone, as ours of that name do.
@pytest.mark.parametrize(
    ("scheme", "published", "times"),
    [("int8", "int8", 1.1), ("llm.int8", "int8", 2), ("nf4", "int4", 1), ("int4", "int4", 1.2)],
)
@torch.inference_mode()
def test_logits_stay_near_the_published_ones(
    scheme: str, published: str, times: float, golden_model: GoldenModel, tmp_path: Path
) -> None:
    shape = golden_model.config
    if scheme == "nf4" and shape.hidden_size % 64:
        pytest.skip("bitsandbytes' NF4 for CPUs takes widths that 64 divides")
    made = tiny.write_folder(tmp_path / "model", shape, weights=golden_model.network().half())
    network = load_network(made, scheme)
    vectors, ours, theirs = golden_model.vectors("quant"), [], []
    for prompt in prompts(vectors):
        exact = vectors[f"{prompt}.logits_fp32"]
        found = full(network, vectors[f"{prompt}.input_ids"].unsqueeze(0))[0]
        ours.append(float((found - exact).norm() / exact.norm()))
        rounded = vectors[f"{prompt}.logits_{published}_fp32"]
        theirs.append(float((rounded - exact).norm() / exact.norm()))
    assert 0 < max(ours) < times * max(theirs)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_completes(scheme: str, folder: Path) -> None:
    said: list[Any] = []
    scheduler = Scheduler(lambda _job, message: said.append(message))
    engine = loading.load_engine(
        str(folder),
        "cpu",
        scheme,
        scheduler,
        lambda _job, message: said.append(message),
        Work(),
    )
    scheduler.submit(1, Generate(1, "x = ", language="Python", max_new_tokens=4))
    while not said:
        engine.turn()
    assert isinstance(said[-1], Result)


BITS = {"int8": 8, "int4": 4, "nf4": 4, "llm.int8": 8}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_float_matrix_is_left(scheme: str, tmp_path: Path) -> None:
    """And every layer is in inference mode: bitsandbytes is a hundred times slower in training."""
    shape = tiny.config(hidden=128)
    folder = tiny.write_folder(tmp_path / "model", shape)
    network = opening.load(str(folder), CPU, torch.float32, scheme).network
    blocks = network.transformer
    assert not any(type(part) is nn.Linear for part in blocks.modules())
    assert not any(part.training for part in network.modules())
    floats = [one for one in blocks.parameters() if one.dim() == 2 and one.is_floating_point()]
    assert floats == []
    if scheme in ("nf4", "llm.int8"):
        kept = sum(one.nbytes for one in blocks.parameters() if one.dim() == 2)
        assert kept == 12 * 128**2 * 3 * BITS[scheme] // 8


def test_a_warning_for_every_product_is_not_logged(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = opening.load(str(folder), CPU, torch.float32, "llm.int8").network
    with torch.inference_mode():
        full(network, torch.tensor([[1, 2, 3]]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("quantize", "sentence"),
    [
        ("int4", r"codegeex-nano is stored in int8 already, so it can't be quantized to int4; "),
        ("nf4", r"codegeex-nano is stored in int8 already, so it can't be quantized to nf4; "),
        ("int5", r'There is no quantization "int5"; use int8, int4, llm.int8, nf4\.'),
    ],
)
def test_what_cannot_be_quantized(quantize: str, sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence):
        opening.load("codegeex-nano", CPU, torch.float32, quantize)


def test_the_precision_it_is_stored_in_is_no_change() -> None:
    assert opening.plan("codegeex-nano", CPU, torch.float32, "int8").kept == "int8"


def test_bitsandbytes_is_refused_on_an_npu(folder: Path) -> None:
    place: Any = SimpleNamespace(type="npu")  # torch knows the name with its plugin only
    with pytest.raises(WeightsError, match="bitsandbytes has no nf4 for NPUs; use int8 or int4"):
        opening.plan(str(folder), place, torch.float16, "nf4")


# --- memory, in a process of its own -------------------------------------------------------------

# 151 million parameters in the blocks: 302 MB in float16, 604 MB in float32.
SHAPE = CodeGeeXConfig(1024, 11, 8, 260, 64)


@pytest.fixture(scope="module")
def large_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.device("meta"):
        network = CodeGeeX(SHAPE)
    network = network.half().to_empty(device="cpu")
    for parameter in network.parameters():
        parameter.data.uniform_(-0.02, 0.02)
    return tiny.write_folder(tmp_path_factory.mktemp("large") / "model", SHAPE, weights=network)


PEAK = """
import sys, threading, time, torch
torch.set_num_threads(1)
from model_runtime.folders import opening
from model_runtime.device.system_memory import resident_bytes
from model_runtime.networks import bitsandbytes_linear
bitsandbytes_linear._library()
before = peak = resident_bytes()
def watch():
    global peak
    while True:
        peak = max(peak, resident_bytes())
        time.sleep(0.001)
threading.Thread(target=watch, daemon=True).start()
model = opening.load(sys.argv[1], torch.device("cpu"), torch.float32, sys.argv[2])
print(peak - before)
"""

OUT_OF_MEMORY = """
import resource, sys, torch
torch.set_num_threads(1)
from model_runtime.engine import engine, loading
from model_runtime.engine.counters import Work
from model_runtime.engine.scheduler import Scheduler
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {extra}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for quantize in ("", "int8"):
    try:
        loading.load_engine(sys.argv[1], "cpu", quantize, Scheduler(print), print, Work())
        print("ready")
    except Exception as error:
        print(loading.why_not_loaded(error))
"""


def run(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    # Blocks above 32 MiB, as CodeGeeX-13B's matrices are, glibc gives back at once; these are
    # smaller and would stay in its heap.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_float_model_is_never_whole_in_memory(scheme: str, large_folder: Path) -> None:
    """At most the quantized weights and what quantizing one matrix of 4 million takes."""
    kept = 12 * 1024**2 * 12 * BITS[scheme] / 8
    grown = int(run(PEAK, large_folder, scheme))
    assert grown < kept * 1.1 + 110 * MIB < 302e6


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as on Linux")
def test_memory_that_runs_out_while_loading_names_what_fits(large_folder: Path) -> None:
    said = run(OUT_OF_MEMORY.format(extra=900 * MIB), large_folder).splitlines()
    assert said[0].startswith("Memory ran out while tiny was loaded in float16, and ")
    assert said[0].endswith('in int8 it would fit (0.2 GiB): set quantize = "int8".')
    assert said[1] == "ready", "the advice was right"
