"""The device that was wanted, or the first that works.

Chosen once when the runtime starts; the reason is what `codegeex-runtime status` and `check` show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_runtime.device import cpu, cuda, npu
from model_runtime.device.kinds import Device, DeviceError, Unusable
from model_runtime.options import DEVICES


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the facts come from; the tests bring their own."""

    cuda: Callable[[], cuda.Facts] = cuda.ask
    npu: Callable[[], npu.Facts] = npu.ask
    cpu: Callable[[], cpu.Facts] = cpu.ask


def choose(wanted: str, sources: Sources | None = None) -> Device:
    """The device "cuda", "npu" or "cpu", or with "auto" the first of these that works.

    Sets torch's threads when it is the CPU. Raises DeviceError.
    """
    if wanted not in DEVICES:
        raise DeviceError(f'There is no device "{wanted}"; use {", ".join(DEVICES)}.')
    sources = sources or Sources()
    looks: dict[str, Callable[[], Device | Unusable]] = {
        "cuda": lambda: cuda.judge(sources.cuda()),
        "npu": lambda: npu.judge(sources.npu()),
    }
    broken = []
    for kind, look in looks.items():
        if wanted not in ("auto", kind):
            continue
        found = look()
        if isinstance(found, Device):
            return found
        if wanted == kind:
            raise DeviceError(found.sentence)
        if found.present:
            broken.append(found.sentence.removesuffix("."))
    why = "asked for" if wanted == "cpu" else "no CUDA device or NPU found"
    return cpu.judge(sources.cpu(), "; ".join(broken) or why)
