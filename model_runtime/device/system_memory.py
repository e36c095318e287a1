"""What the system tells about memory, where it has /proc. Needs neither torch nor a model.

A container, a systemd unit or a batch job may have less than the machine: the kernel ends a process
that passes its control group's limit, whatever /proc/meminfo says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MEMORY = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class _Names:
    """The files of one version of control groups; `reclaimable` is a line of memory.stat."""

    limit: str
    used: str
    reclaimable: str


V1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = _Names("memory.max", "memory.current", "inactive_file")


def free_memory() -> int | None:
    """The main memory in bytes that can be had without swapping, None where nobody tells."""
    known = [size for size in (_machine(), *_groups()) if size is not None]
    return min(known, default=None)


def resident_bytes() -> int | None:
    """The memory this process holds, where the system tells it in /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _machine() -> int | None:
    try:
        return 1024 * _line(MEMORY, "MemAvailable:")
    except (OSError, StopIteration, ValueError):
        return None


def _groups() -> Iterator[int | None]:
    """What each group that holds this process leaves it, up to the root: any may have a limit."""
    try:
        lines = OWN_GROUPS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, names = GROUPS, V2
        elif "memory" in controllers.split(","):
            root, names = GROUPS / "memory", V1
        else:
            continue
        # In a container the path may be the host's, which isn't mounted; the root then is ours.
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            yield _left(folder, names)
            if folder == root:
                break


def _left(folder: Path, names: _Names) -> int | None:
    """None without a limit, which version 2 writes as "max"."""
    try:
        limit = int((folder / names.limit).read_text(encoding="ascii"))
        used = int((folder / names.used).read_text(encoding="ascii"))
        return max(0, limit - used + _line(folder / "memory.stat", names.reclaimable))
    except (OSError, StopIteration, ValueError):
        return None


def _line(path: Path, name: str) -> int:
    """The number behind `name`. Raises OSError, ValueError, StopIteration."""
    lines = path.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[:1] == [name])
