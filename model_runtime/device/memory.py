"""What is free where a model runs, and whether an error says that nothing was."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress

import torch

from model_runtime.device.system_memory import free_memory


def out_of_memory(error: BaseException) -> bool:
    """Whether it says so: CUDA has a class for it, the CPU's allocator and the NPU's have words."""
    said = isinstance(error, RuntimeError) and re.search(
        "allocate memory|out of memory", str(error), re.IGNORECASE
    )
    return bool(said) or isinstance(error, MemoryError | torch.OutOfMemoryError)


def return_freed() -> None:
    """Give the system what was allocated for a while: the C library keeps it where it is glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def free_bytes(place: torch.device) -> int | None:
    """What can be had without swapping, or of the device's memory; None where nobody tells."""
    if place.type == "cpu":
        return free_memory()
    free: int = torch.get_device_module(place).mem_get_info(place)[0]
    return free
