#!/usr/bin/env python
"""Does codegeex-lsp work on this Ascend NPU? One report to paste into an issue.

    source /usr/local/Ascend/ascend-toolkit/set_env.sh
    .venv/bin/python scripts/npu_check.py

Prints the versions and the device, then a small random network against the CPU, the INT8 and INT4
operators against float32, and a speed. Exit codes: 0 all is right, 1 something is off, 2 no NPU.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from model_runtime import __version__
from model_runtime.device import memory, torch_plugins

torch_plugins.keep_plugins_out()
# An operator that falls back to the CPU without a word would pass here and be slow in use.
os.environ["TORCH_NPU_FALLBACK_CPU_DISABLE"] = "1"

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402, N812

from model_runtime.device import npu  # noqa: E402
from model_runtime.device.choice import choose  # noqa: E402
from model_runtime.device.kinds import Device, DeviceError  # noqa: E402
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig  # noqa: E402
from model_runtime.networks.kernels import npu as kernels  # noqa: E402
from model_runtime.networks.kv_cache import KVCache  # noqa: E402
from model_runtime.networks.quantization import Int8Matrix, quantize_int4, quantize_int8  # noqa: E402

CONFIG = CodeGeeXConfig(512, 4, 8, 1024, 256)
PROMPT, STEPS = 48, 32
# float16 through five blocks; a wrong mask or position is off by far more.
LOGITS_TOLERANCE = 2e-2
WIDTH = 5120
COPIED_BYTES = 512 * 2**20


def main() -> int:
    try:
        device = choose("npu")
    except DeviceError as error:
        print(f"npu_check: {error}", file=sys.stderr)
        return 2
    passed = True
    for name, found, right in (*versions(device), *checks(device)):
        passed = passed and right
        print(f"{'ok' if right else 'WRONG':<6}{name + ':':<16}{found}", flush=True)
    return 0 if passed else 1


Line = tuple[str, str, bool]


def versions(device: Device) -> Iterator[Line]:
    facts = npu.ask()
    yield "codegeex-lsp", __version__, True
    yield "python", f"{platform.python_version()} on {platform.platform()}", True
    yield "torch", facts.torch, True
    yield "torch_npu", facts.plugin, True
    yield "CANN", cann_version(), True
    yield "device", f"{device.reason}; {facts.cards} in all", True
    free = memory.free_bytes(device.place)
    yield "memory", "not told" if free is None else f"{free / 2**30:.1f} GiB free", True


def cann_version() -> str:
    try:
        from torch_npu.npu.utils import get_cann_version

        return str(get_cann_version())
    except Exception as error:  # a report goes on
        return f"not told ({type(error).__name__})"


def checks(device: Device) -> Iterator[Line]:
    """Each by itself: one that fails doesn't hide the others."""
    parts: dict[str, Callable[[Device], tuple[str, bool]]] = {
        "network": network,
        "int8 operator": int8,
        "int4 operator": int4,
        "speed": speed,
    }
    for name, part in parts.items():
        try:
            with torch.inference_mode():
                yield name, *part(device)
        except Exception as error:  # whatever the driver raises is the finding
            first = str(error).strip().partition("\n")[0]
            yield name, f"{type(error).__name__}: {first}", False


def network(device: Device) -> tuple[str, bool]:
    """The same random network in float32 on the CPU and in float16 on the NPU."""
    torch.manual_seed(1)
    made = CodeGeeX(CONFIG).requires_grad_(False).eval()
    ids = torch.randint(CONFIG.vocab_size, (PROMPT + STEPS,)).tolist()
    expected = logits(made, ids, torch.device("cpu"), torch.float32)
    found = logits(made.to(device.place, device.dtype), ids, device.place, device.dtype).cpu()
    error = float((found - expected).norm() / expected.norm())
    agree = int((found.argmax(-1) == expected.argmax(-1)).sum())
    told = f"off by {error:.2%} from the CPU; likeliest token the same {agree} of {len(found)}"
    return told, error <= LOGITS_TOLERANCE


def logits(made: CodeGeeX, ids: list[int], place: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """[STEPS + 1, V]: of a prompt run in two chunks, then token by token from the KV cache."""
    cache = KVCache(
        layers=CONFIG.num_layers + 1,
        heads=CONFIG.num_attention_heads,
        head_dim=CONFIG.head_dim,
        context=CONFIG.max_position_embeddings,
        slots=1,
        branches=0,
        dtype=dtype,
        device=place,
    )
    slot = cache.acquire(ids)
    assert slot is not None  # noqa: S101 - the cache is new
    ends = [PROMPT // 2, *range(PROMPT, len(ids) + 1)]
    rows, start = [], 0
    for end in ends:
        chunk = torch.tensor([ids[start:end]], device=place)
        rows.append(made(chunk, slot.rows, start))
        start = end
    return torch.cat(rows[1:])


def int8(device: Device) -> tuple[str, bool]:
    matrix = Int8Matrix(*quantize_int8(random_matrix())).to(device.place)
    why = kernels.why_not("INT8", device.place, device.dtype)
    if why:
        return why, False
    return against_float(kernels.NpuInt8(matrix, device.dtype), matrix.dequantized(), device)


def int4(device: Device) -> tuple[str, bool]:
    matrix = quantize_int4(random_matrix()).to(device.place)
    why = kernels.why_not("INT4", device.place, device.dtype)
    if why:
        return why, False
    return against_float(kernels.NpuInt4(matrix, device.dtype), matrix.dequantized(), device)


def random_matrix() -> torch.Tensor:
    torch.manual_seed(2)
    return (torch.randn(WIDTH, WIDTH) * 0.02).half()


def against_float(kernel: kernels.Kernel, weight: torch.Tensor, device: Device) -> tuple[str, bool]:
    """The error of one product, and the time of it beside that of the float16 one."""
    x = torch.randn(3, WIDTH).to(device.place, device.dtype)
    expected = F.linear(x.float().cpu(), weight.float().cpu())
    none = torch.zeros(WIDTH, dtype=device.dtype, device=device.place)
    error = float((kernel(x, none).float().cpu() - expected).norm() / expected.norm())
    half = weight.to(device.dtype)
    times = (
        milliseconds(lambda: kernel(x[:1], none), device),
        milliseconds(lambda: F.linear(x[:1], half), device),
    )
    told = f"off by {error:.3%}; {WIDTH} x {WIDTH} in {times[0]:.3f} ms, float16 {times[1]:.3f} ms"
    return told, error <= kernels.TOLERANCE


def speed(device: Device) -> tuple[str, bool]:
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device.place)
    target = torch.empty_like(source)
    copied = 2 * COPIED_BYTES / milliseconds(lambda: target.copy_(source), device) / 1e6
    return f"copying moves {copied:.0f} GB/s; for tokens run codegeex-runtime bench", True


def milliseconds(work: Callable[[], object], device: Device) -> float:
    """The best of ten after three."""
    best = float("inf")
    for step in range(13):
        device.wait()
        started = time.perf_counter()
        work()
        device.wait()
        if step >= 3:
            best = min(best, (time.perf_counter() - started) * 1000)
    return best


if __name__ == "__main__":
    sys.exit(main())
