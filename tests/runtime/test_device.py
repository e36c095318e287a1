"""Choosing a device from what torch and the drivers say; no hardware is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_runtime.device import cpu, cuda, npu
from model_runtime.device.choice import Sources, choose
from model_runtime.device.kinds import DeviceError

ROOT = Path(__file__).resolve().parents[2]

A100 = cuda.Facts("13.0", "", "NVIDIA A100", (8, 0), ("sm_75", "sm_80", "sm_90", "compute_120"))
ASCEND = npu.Facts("2.13.0+cpu", "2.13.0", "", 8, "Ascend910B3")
NO_CUDA = cuda.Facts()
NO_NPU = npu.Facts("2.13.0+cpu")

# torch's own words, c10/cuda/CUDAFunctions.cpp.
OLD_DRIVER = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: "
    "http://www.nvidia.com/Download/index.aspx Alternatively, go to: https://pytorch.org to "
    "install a PyTorch version that has been compiled with your version of the CUDA driver."
)
NO_DRIVER = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed "
    "a driver from http://www.nvidia.com/Download/index.aspx"
)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def sources(
    found_cuda: cuda.Facts = NO_CUDA, found_npu: npu.Facts = NO_NPU, cores: int = 8
) -> Sources:
    return Sources(lambda: found_cuda, lambda: found_npu, lambda: cpu.Facts(cores, 4))


def refusal(wanted: str, found: Sources) -> str:
    with pytest.raises(DeviceError) as caught:
        choose(wanted, found)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_auto_prefers_cuda_then_npu_then_cpu() -> None:
    assert choose("auto", sources(A100, ASCEND)).place.type == "cuda"
    assert choose("auto", sources(NO_CUDA)).reason == (
        "cpu in float32: no CUDA device or NPU found; 4 of 8 cores"
    )


def test_what_is_asked_for_is_taken() -> None:
    assert choose("cpu", sources(A100)).reason == "cpu in float32: asked for; 4 of 8 cores"
    assert choose("cuda", sources(A100)).reason == "cuda in float16: NVIDIA A100 found"


def test_what_was_not_asked_for_is_not_looked_at() -> None:
    def never() -> cuda.Facts:
        pytest.fail("CUDA was started for the CPU")

    assert choose("cpu", replace(sources(), cuda=never)).place.type == "cpu"


def test_a_core_is_left_over_on_the_cpu() -> None:
    assert choose("cpu", sources(cores=2)).reason.endswith("1 of 2 cores")
    assert torch.get_num_threads() == 1
    assert choose("cpu", sources(cores=1)).reason.endswith("1 of 1 cores")


def test_half_precision_is_the_one_of_the_published_weights() -> None:
    """A card with bfloat16 gets float16 too: bfloat16 would round the weights."""
    assert choose("cuda", sources(A100)).dtype == torch.float16
    assert choose("cpu", sources()).dtype == torch.float32


# --- CUDA --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            NO_CUDA,
            "The device cuda was asked for, but this PyTorch is built without it; "
            "use cpu, or install a PyTorch built for CUDA.",
        ),
        (
            cuda.Facts("13.0", NO_DRIVER),
            "The device cuda was asked for, but no NVIDIA driver is installed; "
            "use cpu, or install the driver.",
        ),
        (
            cuda.Facts("13.0", "No CUDA GPUs are available"),
            "The device cuda was asked for, but the NVIDIA driver shows no GPU; "
            "use cpu, or see whether CUDA_VISIBLE_DEVICES hides it.",
        ),
        (
            cuda.Facts("13.0", OLD_DRIVER),
            "The NVIDIA driver is too old: it offers CUDA 11.4 and this PyTorch is built for "
            "CUDA 13.0; update the driver, or install a PyTorch built for its CUDA.",
        ),
        (
            cuda.Facts("13.0", "CUDA unknown error - this may be due to\nmany things"),
            "CUDA doesn't start (CUDA unknown error - this may be due to); "
            "see whether nvidia-smi works, or use cpu.",
        ),
        (
            replace(A100, card="Tesla K80", capability=(3, 7)),
            "Tesla K80 (compute capability 3.7) is too old for this PyTorch, which needs 7.5 or "
            "newer; install an older PyTorch that still knows it, or use cpu.",
        ),
        (
            replace(A100, card="Card of 2030", capability=(13, 0), architectures=("sm_90",)),
            "Card of 2030 (compute capability 13.0) is unknown to this PyTorch; "
            "install one built for a newer CUDA, or use cpu.",
        ),
    ],
)
def test_why_cuda_cannot_be_used(facts: cuda.Facts, sentence: str) -> None:
    assert refusal("cuda", sources(facts)) == sentence


@pytest.mark.parametrize(
    ("capability", "architectures"),
    [
        ((8, 6), ("sm_80",)),  # a later minor version
        ((12, 1), ("sm_90", "compute_90")),  # by the intermediate code
        ((9, 0), ("sm_90a",)),
        ((9, 4), ("gfx942",)),  # ROCm names them otherwise
    ],
)
def test_cards_that_fit(capability: tuple[int, int], architectures: tuple[str, ...]) -> None:
    facts = replace(A100, capability=capability, architectures=architectures)
    assert choose("cuda", sources(facts)).place.type == "cuda"


def test_auto_goes_on_past_a_broken_gpu_and_says_why() -> None:
    reason = choose("auto", sources(cuda.Facts("13.0", OLD_DRIVER))).reason
    assert reason.startswith("cpu in float32: The NVIDIA driver is too old: it offers CUDA 11.4")
    assert choose("auto", sources(cuda.Facts("13.0", NO_DRIVER))).reason == (
        "cpu in float32: no CUDA device or NPU found; 4 of 8 cores"
    )


# --- NPU ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            NO_NPU,
            "The device npu was asked for, but torch_npu isn't installed; use cpu, or "
            f'run: {sys.executable} -m pip install "torch_npu==2.13.0"',
        ),
        (
            replace(ASCEND, plugin="2.12.0.post1"),
            "torch_npu 2.12.0.post1 belongs to PyTorch 2.12.0, and 2.13.0+cpu is installed; "
            f'run: {sys.executable} -m pip install "torch_npu==2.13.0"',
        ),
        (
            replace(ASCEND, error="libhccl.so: cannot open shared object file: No such file"),
            "torch_npu finds no CANN libraries; install CANN and run before: "
            "source /usr/local/Ascend/ascend-toolkit/set_env.sh",
        ),
        (
            replace(ASCEND, error="libascend_hal.so: cannot open shared object file"),
            "torch_npu misses libascend_hal.so: install the Ascend driver.",
        ),
        (
            replace(ASCEND, error="Two accelerators cannot be used at the same time in PyTorch"),
            "torch_npu needs the CPU build of PyTorch, and this one has another accelerator.",
        ),
        (
            replace(ASCEND, error="undefined symbol: _ZN3c10"),
            "torch_npu can't be imported (undefined symbol: _ZN3c10); reinstall it, or use cpu.",
        ),
        (
            replace(ASCEND, cards=0),
            "torch_npu finds no NPU; see whether npu-smi info shows one and whether "
            "ASCEND_RT_VISIBLE_DEVICES hides it.",
        ),
    ],
)
def test_why_the_npu_cannot_be_used(facts: npu.Facts, sentence: str) -> None:
    assert refusal("npu", sources(found_npu=facts)) == sentence


def test_versions_with_a_suffix_pair() -> None:
    for plugin in ("2.13.0rc1", "2.13.0.post4"):
        facts = replace(ASCEND, plugin=plugin, error="libhccl.so: no such file")
        assert "CANN" in refusal("npu", sources(found_npu=facts))


def in_a_process_with_torch_npu(folder: Path, version: str, source: str, wanted: str) -> str:
    """What choose() says where a package torch_npu of that version and source is installed."""
    package = folder / "torch_npu"
    package.mkdir()
    (package / "__init__.py").write_text(source, encoding="utf-8")
    about = folder / f"torch_npu-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch_npu\nVersion: {version}\n")
    # This is how torch finds plugins to import whenever it is imported itself.
    (about / "entry_points.txt").write_text("[torch.backends]\ntorch_npu = torch_npu:_autoload\n")
    program = (
        "from model_runtime.device.torch_plugins import keep_plugins_out; keep_plugins_out()\n"
        "from model_runtime.device.choice import choose\n"
        "from model_runtime.errors import RuntimeFailure\n"
        f"try: print(choose('{wanted}').reason)\nexcept RuntimeFailure as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


WITHOUT_CANN = (
    "raise ImportError('libhccl.so: cannot open shared object file: No such file or directory')"
)


def test_a_plugin_without_cann_breaks_nothing(tmp_path: Path) -> None:
    said = in_a_process_with_torch_npu(tmp_path, torch.__version__, WITHOUT_CANN, "npu")
    assert said.startswith("torch_npu finds no CANN libraries")


def test_a_plugin_is_not_imported_for_the_cpu(tmp_path: Path) -> None:
    said = in_a_process_with_torch_npu(tmp_path, torch.__version__, "raise SystemExit(3)", "cpu")
    assert said.startswith("cpu in float32: asked for")


def test_a_plugin_of_another_torch_is_not_imported(tmp_path: Path) -> None:
    said = in_a_process_with_torch_npu(tmp_path, "2.1.0", "raise SystemExit(3)", "auto")
    assert said.startswith("cpu in float32: torch_npu 2.1.0 belongs to PyTorch 2.1.0")
