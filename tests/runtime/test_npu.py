"""NPU code without an NPU: the operators' signatures and numbers, and a device of Python's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import npu_operators
import pytest
import torch

from model_runtime import installing
from model_runtime.networks.kernels import npu
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix, quantize_int4, quantize_int8

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HALF = torch.float16


def weight(rows: int, columns: int) -> torch.Tensor:
    torch.manual_seed(3)
    return (torch.randn(rows, columns) * 0.05).half()


def error(kernel: npu.Kernel | None, matrix: Int8Matrix | Int4Matrix, columns: int) -> float:
    assert kernel is not None
    torch.manual_seed(4)
    x = torch.randn(5, columns).half()
    expected = x.float() @ matrix.dequantized().float().t()
    found = kernel(x, torch.zeros(len(matrix.scale), dtype=x.dtype))
    assert found.dtype == HALF
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (33, 130), (256, 512)])
def test_int8_is_the_float_product(rows: int, columns: int) -> None:
    matrix = Int8Matrix(*quantize_int8(weight(rows, columns)))
    assert error(npu.int8_kernel(matrix, HALF), matrix, columns) < 1e-3


@pytest.mark.parametrize(("rows", "columns"), [(64, 128), (8, 130), (256, 512)])
def test_int4_is_the_float_product(rows: int, columns: int) -> None:
    matrix = quantize_int4(weight(rows, columns))
    assert error(npu.int4_kernel(matrix, HALF), matrix, columns) < 1e-3


@pytest.mark.parametrize(("rows", "columns"), [(12, 128), (64, 64), (64, 40)])
def test_shapes_that_the_int4_operator_does_not_take(rows: int, columns: int) -> None:
    assert npu.int4_kernel(quantize_int4(weight(rows, columns)), HALF) is None


def test_packing_is_undone_by_the_operators_own_order() -> None:
    codes = torch.arange(-8, 8, dtype=torch.int32).view(1, 16).repeat(3, 1)
    packed = torch.ops.npu.npu_convert_weight_to_int4pack(codes)
    assert packed.shape == (3, 2)
    assert torch.equal(npu_operators.unpacked(packed), codes)


def test_a_keyword_that_the_operator_lacks_raises() -> None:
    matrix = Int8Matrix(*quantize_int8(weight(8, 8)))
    with pytest.raises(RuntimeError, match="Unknown keyword argument 'group_size'"):
        torch.ops.npu.npu_weight_quant_batchmatmul(
            torch.ones(1, 8).half(), matrix.codes, matrix.scale, group_size=64
        )


def test_an_operator_with_wrong_numbers_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(self: npu.NpuInt8, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return right(self, x, bias) * 1.05

    right = npu.NpuInt8.__call__
    monkeypatch.setattr(npu.NpuInt8, "__call__", wrong)
    npu.why_not.cache_clear()
    assert npu.int8_kernel(Int8Matrix(*quantize_int8(weight(8, 8))), HALF) is None
    assert "the NPU's INT8 operator isn't used, layers dequantize: its products are off by" in (
        caplog.text
    )
    npu.why_not.cache_clear()


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What on_npu.py tells; torch can be given a device of Python's once in a process."""
    done = run(HERE / "on_npu.py", tmp_path_factory.mktemp("npu"))
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_tiny_model_runs_on_a_device_named_npu(found: dict[str, Any]) -> None:
    """No tensor is made on the CPU in between: that is an error there, as `leak` shows."""
    assert found["place"] == "npu"
    assert found["npu"] == found["cpu"] != [""]
    assert found["waits"] > 3
    assert found["free"] == 32 * 2**30
    assert "got a CPU tensor on the NPU" in found["leak"]


def test_the_check_script_finds_that_device_right(found: dict[str, Any]) -> None:
    report = found["checked"]
    assert report.keys() == {"network", "int8 operator", "int4 operator", "speed"}
    assert [told for told, right in report.values() if not right] == []
    assert "likeliest token the same 3" in report["network"][0]


def test_the_check_script_says_in_a_sentence_that_there_is_no_npu() -> None:
    done = run(ROOT / "scripts/npu_check.py")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "npu_check: The device npu was asked for, but torch_npu isn't installed; use cpu, or "
        f"run: {installing.command('torch_npu==' + torch.__version__.partition('+')[0])}\n"
    )
