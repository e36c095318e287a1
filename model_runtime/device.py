"""Which processor runs the model, in which precision, with how many threads, and why.

It knows torch and this machine, no model. Chosen once when the runtime starts; the reason is what
`codegeex-runtime status` shows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from model_runtime.errors import RuntimeFailure


class DeviceError(RuntimeFailure):
    """The device that was asked for isn't there."""


@dataclass(frozen=True, slots=True)
class Device:
    """`prefill_chunk` is how many prompt tokens run between two looks at the cancel flag."""

    place: torch.device
    dtype: torch.dtype
    prefill_chunk: int
    reason: str

    def wait(self) -> None:
        """Return when the work that was queued is done; only then is a cancel a real one."""
        if self.place.type == "cuda":
            torch.cuda.synchronize(self.place)


def choose(wanted: str) -> Device:
    """Make "auto", "cpu" or "cuda" a device and set torch's threads. Raises DeviceError."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise DeviceError(f'There is no device "{wanted}"; use auto, cpu or cuda.')
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise DeviceError(
            "The device cuda was asked for, but PyTorch finds none; "
            "use cpu, or install a PyTorch built for CUDA."
        )
    if has_cuda and wanted != "cpu":
        return _cuda(wanted)
    return _cpu("asked for" if wanted == "cpu" else "no CUDA device found")


def _cuda(wanted: str) -> Device:
    name = torch.cuda.get_device_name()
    why = "asked for" if wanted == "cuda" else "found"
    return Device(torch.device("cuda"), torch.float16, 512, f"cuda in float16: {name} {why}")


def _cpu(why: str) -> Device:
    cores = _usable_cores()
    # The editor and the language server need a core while the model computes, and torch's threads
    # wait for each other: with both cores of a busy machine a decode step took 118 ms, with one 4.
    threads = min(torch.get_num_threads(), max(1, cores - 1))
    torch.set_num_threads(threads)
    reason = f"cpu in float32: {why}; {threads} of {cores} cores"
    return Device(torch.device("cpu"), torch.float32, 128, reason)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
