"""The GPU's kernels without a GPU: their numbers in Triton's interpreter, their machine code."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model_runtime.networks import kernels
from model_runtime.networks.kernels import cuda, trial

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton isn't installed; it exists for Linux only", allow_module_level=True)

# Half an ulp of the result is 2.8e-4 in float16 and 2.3e-3 in bfloat16.
LARGEST_ERROR = {"float16": 5e-4, "bfloat16": 5e-3}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kernel", ["int8", "int4"])
def test_products_are_those_of_float64(kernel: str, dtype: str) -> None:
    script = Path(__file__).with_name("interpreted.py")
    done = subprocess.run(
        [sys.executable, script, kernel, dtype],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    cases = [line.split() for line in done.stdout.splitlines()]
    assert len(cases) == {"float16": 30, "bfloat16": 9}[dtype]
    for *case, error in cases:
        assert float(error) < LARGEST_ERROR[dtype], case


TYPES = {"codes": "*i8", "words": "*i32", "scale": "*fp16", "parts": "*fp32"}
NUMBERS = {"rows", "columns", "width", "inputs", "count"}


def compiled(program: Any, tile: dict[str, int], dtype: str, capability: int) -> Any:
    """The program as a card of that generation gets it, for sizes that are multiples of 16."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    constants = {(place,): tile[name] for place, name in names(program) if name in tile}
    signature = {
        name: "constexpr" if name in tile else "i32" if name in NUMBERS else TYPES.get(name, dtype)
        for _, name in names(program)
    }
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in names(program)
        if name not in tile and name != "inputs"
    }
    source = ASTSource(program, signature, constants, aligned)
    options = {name: value for name, value in tile.items() if name.startswith("num_")}
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options)


def names(program: Any) -> list[tuple[int, str]]:
    return list(enumerate(program.arg_names))


@pytest.mark.parametrize("capability", [80, 89, 90], ids=["A100", "4090", "H200"])
@pytest.mark.parametrize("dtype", ["*fp16", "*bf16"])
def test_every_program_compiles(
    dtype: str, capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And reads the weights 16 bytes at a time."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from model_runtime.networks.kernels import triton, triton_programs

    added = {"SPLITS": 4, "COLUMNS": triton.ADDED}
    for name, tile in [
        ("int8_one", triton.ONE),
        ("int4_one", triton.ONE),
        ("int8_several", triton.SEVERAL_INT8),
        ("int4_several", triton.SEVERAL_INT4),
        ("int8_dequantize", triton.ALL),
        ("int4_dequantize", triton.ALL),
        ("add_parts", added),
    ]:
        made = compiled(getattr(triton_programs, name), tile, dtype, capability)
        assert made.asm["cubin"]
        if name != "add_parts":
            assert ".v4.b32" in made.asm["ptx"] or "cp.async.cg" in made.asm["ptx"], name


# --- the choice on a card, of kernels with a name in place of those that need one ----------------

TRITON = "model_runtime.networks.kernels.triton"


@pytest.mark.parametrize(
    ("broken", "chosen"),
    [((), "triton"), (("triton",), "torch"), (("triton", "torch"), None)],
)
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_first_kernel_that_passed_its_trial_is_taken(
    kind: str, broken: tuple[str, ...], chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = {"int8": "packed_int8", "int4": "tiled_int4"}[kind]
    layer = {"int8": "PackedInt8", "int4": "TiledInt4"}[kind]
    made = {f"Triton{name}": lambda matrix: "triton" for name in ("Int8", "Int4")}
    monkeypatch.setitem(sys.modules, TRITON, SimpleNamespace(**made))
    monkeypatch.setattr(cuda, layer, lambda *arguments: "torch")
    for name, family in ((f"triton_{kind}", "triton"), (operator, "torch")):
        reason = "broken" if family in broken else ""
        monkeypatch.setattr(cuda, f"why_not_{name}", lambda dtype, reason=reason: reason)
    matrix: Any = trial.int8_matrix() if kind == "int8" else trial.int4_matrix()
    assert getattr(cuda, f"{kind}_kernel")(matrix, torch.float16) == chosen


def test_a_missing_triton_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, TRITON, None)
    monkeypatch.setattr(cuda, "why_not_triton_int8", lambda dtype: "")
    monkeypatch.setattr(kernels.trial, "LOG", kernels.trial.LOG.getChild("quiet"))
    matrix = trial.int8_matrix()
    kernel = lambda: cuda.int8_kernel(matrix, torch.float16)  # noqa: E731
    assert trial.why_not("Triton INT8", kernel, matrix, 1e-3) == f"{TRITON} isn't installed"
