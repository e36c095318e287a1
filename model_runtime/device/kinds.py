"""What every kind of processor gives: a Device, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model_runtime.errors import RuntimeFailure


class DeviceError(RuntimeFailure):
    """The device that was asked for isn't there or can't be used."""


@dataclass(frozen=True, slots=True)
class Device:
    """`prefill_chunk` is how many prompt tokens run between two looks at the cancel flag."""

    place: torch.device
    dtype: torch.dtype
    prefill_chunk: int
    reason: str

    def wait(self) -> None:
        """Return when the work that was queued is done; only then is a cancel a real one."""
        if self.place.type != "cpu":
            torch.get_device_module(self.place).synchronize(self.place)


@dataclass(frozen=True, slots=True)
class Unusable:
    """`present` is set where hardware or its software is there and something is wrong with it."""

    sentence: str
    present: bool
