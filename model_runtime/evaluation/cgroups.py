"""A control group (cgroup v2) for one run: the kernel itself holds memory and number of processes.

All that a program can take counts in it: files in memory, shared pages, the kernel's own buffers.
Made where this user may divide the group that the evaluation runs in, or one above it: as root, or
where systemd gave the user a part of the tree. Knows no programs; sandbox.py calls it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

NEEDED = {"memory", "pids"}
NAME = "codegeex-eval-"
# The shell moves itself and becomes the command, so that no moment of it is outside.
ENTER = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
REMOVE_S = 2.0
POLL_S = 0.01


class Group:
    """One group, and what happened in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def entering(self) -> list[str]:
        """Goes before a command, which then runs in the group."""
        return ["/bin/sh", "-c", ENTER, str(self._folder)]

    @property
    def memory_ran_out(self) -> bool:
        events = dict(map(str.split, self._read("memory.events")))
        return int(events.get("oom_kill", 0)) > 0

    def hold(self, memory: int, processes: int) -> None:
        (self._folder / "memory.max").write_text(str(memory))
        (self._folder / "pids.max").write_text(str(processes))
        (self._folder / "memory.oom.group").write_text("1")  # all of a program, not its largest
        with contextlib.suppress(FileNotFoundError):  # a kernel without swap
            (self._folder / "memory.swap.max").write_text("0")

    def remove(self) -> None:
        """Everything in it is dead or dies now."""
        with contextlib.suppress(FileNotFoundError):  # since Linux 5.14
            (self._folder / "cgroup.kill").write_text("1")
        end = time.monotonic() + REMOVE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(POLL_S)

    def _read(self, name: str) -> list[str]:
        return (self._folder / name).read_text().splitlines()


@contextmanager
def held(memory: int, processes: int) -> Iterator[Group | None]:
    """A group with these limits, None where none can be made."""
    parent = divisible()
    if parent is None:
        yield None
        return
    group = Group(Path(tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-", dir=parent)))
    try:
        group.hold(memory, processes)
        yield group
    finally:
        group.remove()


@cache
def divisible() -> Path | None:
    """The nearest group that takes ours; looked for once."""
    found = next((folder for folder in _own_and_above() if _takes(folder)), None)
    if found is not None:
        _sweep(found)
    return found


def _sweep(parent: Path) -> None:
    """Remove what killed evaluations left; a group with processes in it can't be removed."""
    for folder in parent.glob(f"{NAME}*"):
        maker = folder.name.removeprefix(NAME).partition("-")[0]
        if not Path("/proc", maker).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _takes(folder: Path) -> bool:
    """Whether a group can be made there, held, and entered from where we are."""
    try:
        _enable(folder)
        if not os.access(folder / "cgroup.procs", os.W_OK):
            return False
        group = Group(Path(tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-", dir=folder)))
    except OSError:
        return False
    try:
        group.hold(1 << 30, 8)
    except OSError:
        return False
    finally:
        group.remove()
    return True


def _enable(folder: Path) -> None:
    """Raises OSError where that isn't ours to do, or where processes lie in the group itself."""
    enabled = folder / "cgroup.subtree_control"
    lacking = NEEDED - set(enabled.read_text().split())
    if lacking:
        enabled.write_text(" ".join(f"+{name}" for name in sorted(lacking)))


def _own_and_above() -> Iterator[Path]:
    """The folders of our own group and of those above it, as far as they are mounted."""
    own = _after_prefix("/proc/self/cgroup", "0::")
    mounts = [line.split() for line in _lines("/proc/self/mountinfo") if " - cgroup2 " in line]
    for mount in mounts:
        root, place = Path(mount[3]), Path(mount[4])
        if own is not None and Path(own).is_relative_to(root):
            folder = place / Path(own).relative_to(root)
            yield folder
            yield from (above for above in folder.parents if above.is_relative_to(place))


def _after_prefix(path: str, prefix: str) -> str | None:
    return next(
        (line.removeprefix(prefix) for line in _lines(path) if line.startswith(prefix)), None
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
