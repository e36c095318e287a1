"""The most memory that was held while something was measured."""

from __future__ import annotations

from pathlib import Path

import torch

from model_runtime.device.kinds import Device
from model_runtime.device.system_memory import resident_bytes

SELF = Path("/proc/self")


class Peak:
    """Begins when it is made. `held` is what of it was there before and counts too.

    On a GPU it is what PyTorch has allocated there; on a CPU what the process grew by, where the
    system tells.
    """

    def __init__(self, device: Device, held: int) -> None:
        self._cuda = device.place.type == "cuda"
        self._held = held
        self._before = None if self._cuda else resident_bytes()
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        try:
            (SELF / "clear_refs").write_text("5", encoding="ascii")  # the high-water mark
        except OSError:
            self._before = None

    def bytes(self) -> int | None:
        if self._cuda:
            return torch.cuda.max_memory_allocated()
        if self._before is None:
            return None
        status = (SELF / "status").read_text(encoding="ascii").splitlines()
        highest = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        return self._held + highest * 1024 - self._before
