"""Everything about a GPU in one command: `scripts/gpu_bench [FOLDER]`, some minutes on an H200.

Checks the kernels against float64 and times them alone, then runs `codegeex-runtime bench` on
CodeGeeX-13B with random weights and says which targets are met. Leaves gpu.json and gpu.png in
FOLDER. Where there is no GPU it says so and exits with 2. Has never run on a card so far.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"

import torch
from torch import Tensor

from benchmarks.table import row, title
from model_runtime.bench import command
from model_runtime.bench.random_model import random_matrix
from model_runtime.bench.speed import Machine, Speed, typical
from model_runtime.device.choice import choose
from model_runtime.device.kinds import Device
from model_runtime.errors import RuntimeFailure
from model_runtime.networks.graphs import CudaCapture
from model_runtime.networks.kept import Precision
from model_runtime.networks.kernels import cuda
from model_runtime.networks.kernels.dequantizing import Dequantizing
from model_runtime.networks.kernels.trial import Kernel
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix, QuantizedMatrix

MODEL = "random:codegeex-13b"
# Weight rows and columns of the 13B: attention, and the MLP's two.
SHAPES = [(5120, 5120), (20480, 5120), (5120, 20480)]
INPUTS = (1, 8, 16, 512)
# Matrices used in turn, so that a card's cache holds none of them until it comes again.
TURNS = 12
LARGEST_ERROR = 2e-3  # of float16 results, and of INT4 through bfloat16 five times as much

PREFILL_MS, SEVERAL, PEAK, CANCEL_STEPS = 80.0, 1.5, 1.10, 1
SHARES = {"float16": 0.80, "int8": 0.70, "int4": 0.55}


def main() -> int:
    parser = argparse.ArgumentParser(prog="gpu_bench", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="FOLDER")
    folder = parser.parse_args().folder
    try:
        device = choose("cuda")
        right = kernels(device)
        files = folder / "gpu.json", folder / "gpu.png"
        machine, speeds = command.run(MODEL, "cuda", *files)
    except (RuntimeFailure, ValueError) as error:
        print(f"gpu_bench: {error}", file=sys.stderr)
        return 2
    missed = [name for name, met in verdicts(machine, speeds) if not met]
    return 0 if right and not missed else 1


# --- kernels alone ----------------------------------------------------------------------------


@torch.inference_mode()
def kernels(device: Device) -> bool:
    """A line a kernel, shape and number of inputs; True when all are right."""
    title("Kernels, float16", "weights", "inputs", "error", "us", "GB/s of codes")
    right = True
    for shape in SHAPES:
        for precision in (Precision.INT8, Precision.INT4):
            matrices = [random_matrix(torch.Size(shape), precision, device) for _ in range(TURNS)]
            for make in families(matrices[0], device):
                made = [make(matrix) for matrix in matrices]
                for count in INPUTS:
                    right &= _kernel(made, matrices[0], shape, count, device)
    return right


def families(
    matrix: QuantizedMatrix, device: Device
) -> Iterator[Callable[[QuantizedMatrix], Kernel]]:
    """The kernels that passed their trial here, and the product that needs none."""
    dtype = device.dtype
    if isinstance(matrix, Int8Matrix):
        if not cuda.why_not_triton_int8(dtype):
            yield cuda._triton_int8  # type: ignore[misc]
        if not cuda.why_not_packed_int8(dtype):
            yield lambda matrix: cuda.PackedInt8(matrix, dtype)  # type: ignore[arg-type]
    if isinstance(matrix, Int4Matrix):
        if not cuda.why_not_triton_int4(dtype):
            yield cuda._triton_int4  # type: ignore[misc]
        if not cuda.why_not_tiled_int4(dtype):
            yield cuda.TiledInt4  # type: ignore[misc]
    yield lambda matrix: Dequantizing(matrix, dtype)


def _kernel(
    made: Sequence[Kernel],
    matrix: QuantizedMatrix,
    shape: tuple[int, int],
    count: int,
    device: Device,
) -> bool:
    x = torch.randn(count, shape[1], device=device.place).to(device.dtype)
    bias = torch.randn(shape[0], device=device.place).to(device.dtype)
    expected = x.double() @ matrix.dequantized().double().T + bias.double()
    error = float((made[0](x, bias).double() - expected).norm() / expected.norm())

    def all_of_them() -> Tensor:
        return [kernel(x, bias) for kernel in made][-1]

    # As a graph: launches from Python would be measured otherwise.
    replay = CudaCapture()(all_of_them)
    us = typical(replay, device) / len(made) * 1000
    read = shape[0] * shape[1] / (2 if isinstance(matrix, Int4Matrix) else 1)
    name = type(made[0]).__name__
    largest = LARGEST_ERROR * (5 if name == "TiledInt4" else 1)
    row(
        name,
        f"{shape[0]} x {shape[1]}",
        str(count),
        f"{error:.1e}" + ("" if error <= largest else " WRONG"),
        f"{us:.1f}",
        f"{read / us / 1000:.0f}",
    )
    return error <= largest


# --- targets ----------------------------------------------------------------------------------


def verdicts(machine: Machine, speeds: Sequence[Speed]) -> list[tuple[str, bool]]:
    """Each target and whether it is met, printed. Peak memory is beside weights and KV cache."""
    found = []
    title("Targets", "measured", "target", "")
    for speed in speeds:
        if speed.name in SHARES:
            for name, measured, target, met in _targets(speed, machine):
                row(name, measured, target, "met" if met else "MISSED")
                found.append((name, met))
    return found


def _targets(speed: Speed, machine: Machine) -> Iterator[tuple[str, str, str, bool]]:
    share, wanted = speed.share(machine.copied_per_s), SHARES[speed.name]
    yield f"{speed.name}: share of copying", f"{share:.0%}", f">= {wanted:.0%}", share >= wanted
    if speed.prefill is not None:
        met = speed.prefill <= PREFILL_MS
        yield f"{speed.name}: prefill", f"{speed.prefill:.0f} ms", f"<= {PREFILL_MS:.0f} ms", met
    if speed.several is not None:
        ratio = speed.several / speed.decode[0]
        yield f"{speed.name}: 8 candidates", f"{ratio:.2f}x", f"<= {SEVERAL}x", ratio <= SEVERAL
    if speed.over is not None:
        yield f"{speed.name}: memory", f"{speed.over:.0%}", f"<= {PEAK:.0%}", speed.over <= PEAK
    if speed.cancel is not None:
        steps = speed.cancel.steps
        yield f"{speed.name}: cancel", f"{steps} steps", "<= 1 step", steps <= CANCEL_STEPS


if __name__ == "__main__":
    sys.exit(main())
