"""What the system tells about memory, where it has /proc. Needs neither torch nor a model."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY = Path("/proc/meminfo")


def free_memory() -> int | None:
    """The main memory in bytes that can be had without swapping, None where nobody tells."""
    try:
        lines = MEMORY.read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError):
        return None


def resident_bytes() -> int | None:
    """The memory this process holds, where the system tells it in /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
