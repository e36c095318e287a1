"""One process tree from its start to its end or its first limit; afterwards all of it is dead.

Where no cgroup counts the tree's memory, it is looked at from outside. Knows no walls and no
languages; sandbox.py calls supervise().
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_runtime.evaluation.cgroups import Group

MIB = 1024 * 1024
# A run's whole tree is looked at so often for its memory.
LOOK_S = 0.1
READ_BYTES = 64 * 1024
# What an empty file in memory takes: the kernel's inode and its name.
INODE_BYTES = 1024
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run. `address_space` also limits what is only reserved, which Java, node and Go do by
    gigabytes; they have it off and are held by `memory`, which counts the whole tree's pages and
    its files in /tmp."""

    seconds: float = 10.0
    memory: int = 512 * MIB
    processes: int = 16
    file_size: int = 32 * MIB
    disk: int = 64 * MIB
    output: int = MIB
    address_space: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """How it ended: the exit code (128 + number after a signal), and its output's beginning.

    `stopped` names the limit that ended it: "time", "memory" or "output", else empty.
    """

    code: int
    output: str
    stopped: str = ""


def supervise(
    command: list[str],
    limits: Limits,
    work: Path,
    environment: dict[str, str],
    walls: Sequence[str] = (),
    group: Group | None = None,
    *inherited: int,
) -> Run:
    """`walls` are bwrap and its arguments; `inherited` are descriptors that it reads."""
    _adopt_orphans()
    reading, writing = os.pipe()
    if walls:
        command = [*walls, "--info-fd", str(writing), "--", *command]
    process = subprocess.Popen(  # noqa: S603 - it is what this module is for
        [*(group.entering if group else ()), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=work,
        env=environment,
        pass_fds=(writing, *inherited),
        start_new_session=True,
    )
    os.close(writing)
    try:
        output, stopped = _watch(process, limits, looks=group is None)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        _reap(reading)
        os.close(reading)
        assert process.stdout is not None  # noqa: S101
        process.stdout.close()
    if group and group.memory_ran_out:
        stopped = "memory"
    text = output.decode(errors="replace")
    return Run(128 - code if code < 0 else code, text, stopped)


def _adopt_orphans() -> None:
    """What our children leave behind becomes our child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap(information: int) -> None:
    """Wait until everything inside is dead, so that its CPU time counts as our children's.

    The sandbox's first process dies with bwrap and takes the others along. bwrap doesn't wait for
    it, so it becomes ours. What a limit killed doesn't count: the kernel adds up only what ended.
    """
    if said := os.read(information, READ_BYTES):
        os.waitpid(json.loads(said)["child-pid"], 0)


def _watch(process: subprocess.Popen[bytes], limits: Limits, *, looks: bool) -> tuple[bytes, str]:
    """Read until the end of output and process, or the first limit it meets; names that limit."""
    end = time.monotonic() + limits.seconds
    output = bytearray()
    assert process.stdout is not None  # noqa: S101
    descriptor = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        look = time.monotonic() + LOOK_S
        while True:
            now = time.monotonic()
            if now >= end:
                return bytes(output), "time"
            if now >= look:
                look = now + LOOK_S
                if looks and memory_in_use(process.pid) > limits.memory:
                    return bytes(output), "memory"
                if process.poll() is not None:
                    return bytes(output), ""
            if selector.select(min(look, end) - now):
                data = os.read(descriptor, READ_BYTES)
                if not data:
                    return bytes(output), _wait(process, end)
                output += data
                if len(output) > limits.output:
                    return bytes(output[: limits.output]), "output"


def _wait(process: subprocess.Popen[bytes], end: float) -> str:
    """It closed its output; give it the rest of its time."""
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "time"
    return ""


def memory_in_use(pid: int) -> int:
    """Of a process and all below it: pages of their own, their page tables, and files in memory.

    All that a program can make grow: the filter leaves it no other memory that is shared.
    """
    total = 0
    files: dict[int, int] = {}
    for folder in _tree(pid):
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
            total += _own_bytes(folder)
            files |= _files_in_memory(folder)
    return total + sum(files.values())


def _tree(pid: int) -> Iterator[Path]:
    waiting = [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        with contextlib.suppress(OSError, ValueError):
            for children in folder.glob("task/*/children"):
                waiting += map(int, children.read_text().split())
        yield folder


def _own_bytes(process: Path) -> int:
    lines = (process / "status").read_text().splitlines()
    sizes = [line.split()[1] for line in lines if line.startswith(("RssAnon:", "VmPTE:"))]
    return sum(map(int, sizes)) * 1024


def _files_in_memory(process: Path) -> dict[int, int]:
    """What its /tmp holds, by the folder's device; nothing while it still sees ours."""
    place = process / "root/tmp"
    device = place.stat().st_dev
    if device == Path("/tmp").stat().st_dev:  # noqa: S108
        return {}
    held = os.statvfs(place)
    blocks, entries = held.f_blocks - held.f_bfree, held.f_files - held.f_ffree
    return {device: blocks * held.f_frsize + entries * INODE_BYTES}
