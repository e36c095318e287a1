"""Seconds and peak memory of `codegeex-runtime convert`, on random weights of the 13B's width.

    python -m benchmarks.conversion FOLDER [--layers 3] [--float32]

A checkpoint of as many layers is made in FOLDER (3 GB for three), converted each way in a process
of its own, and removed. Not part of `scripts/bench`: it needs 8 GB of disk.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.table import row, title
from model_runtime.conversion.layout import SCHEMES
from model_runtime.folders.assembly import blank_network
from model_runtime.networks.codegeex import CodeGeeXConfig

# The kernel's high-water mark of this process alone; what wait4 tells includes the parent's.
CHILD = """
import re, sys
from model_runtime.__main__ import main
code = main()
print(re.search("VmHWM.*", open("/proc/self/status").read())[0])
sys.exit(code)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversion", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    dtype = torch.float32 if options.float32 else torch.float16
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = folder / "source.pt"
        size = _make(source, options.layers, dtype)
        title(f"Conversion of {size / 1e9:.2f} GB {dtype}", "seconds", "peak resident")
        for scheme in SCHEMES:
            seconds, peak = _convert(source, folder / scheme, scheme)
            row(f"--quantize {scheme}", f"{seconds:.1f}", f"{peak / 1e9:.2f} GB")


def _make(path: Path, layers: int, dtype: torch.dtype) -> int:
    shapes = blank_network(CodeGeeXConfig(5120, layers, 40, 52224, 2048)).state_dict()
    tensors = {
        name: torch.empty(shape.shape, dtype=dtype).uniform_(-0.05, 0.05)
        for name, shape in shapes.items()
    }
    torch.save({"module": {"language_model": tensors}}, path)
    return path.stat().st_size


def _convert(source: Path, target: Path, scheme: str) -> tuple[float, int]:
    """Seconds and the child's peak resident bytes, mapped pages included."""
    command = [sys.executable, "-c", CHILD, "convert", source, target, "--quantize", scheme]
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - begin
    shutil.rmtree(target)
    return seconds, int(done.stdout.split()[-2]) * 1024


if __name__ == "__main__":
    main()
