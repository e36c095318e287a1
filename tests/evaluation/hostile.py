"""Runs hostile Python programs in a sandbox: as the user of the tests, and as an ordinary one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from model_runtime.evaluation.supervision import MIB, Limits, Run
from model_runtime.evaluation.syscalls import DENIED, PROCESSORS

Running = Callable[..., Run]
# Calls the kernel by number, as a program would that has no library for it.
CALLS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one) for one in arguments))
    return errno.errorcode[ctypes.get_errno()] if done < 0 else done
"""
BEGUN = "begun"
TIGHT = Limits(seconds=8.0, memory=256 * MIB, processes=12)
ROOM = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("one_run.py")
SOME_USER = 0x20000000
CAN_RUN = (
    "from model_runtime.evaluation.runners.python import interpreter; interpreter().resolve(True)"
)
OURSELVES, AN_ORDINARY_USER = "ourselves", "an ordinary user"


def becoming(who: str) -> list[str]:
    """What goes before a command; root without its capabilities is no ordinary user."""
    if who == OURSELVES:
        return []
    user = str(SOME_USER + os.getpid())
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]


def interpreter_of(who: str) -> str:
    """One that this user can run with the packages under test; skips where there is none."""
    if who == OURSELVES:
        return sys.executable
    if os.geteuid():
        pytest.skip("only root can become another user; an ordinary one runs these tests already")
    found = [*dict.fromkeys((sys.executable, "/usr/bin/python3"))]
    for python in found:
        command = [*becoming(who), python, "-c", CAN_RUN]
        tried = subprocess.run(command, env=environment(), capture_output=True)
        if tried.returncode == 0:
            return python
    pytest.skip(f"an ordinary user can't run {' or '.join(found)} with this checkout")


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOM), "PYTHONDONTWRITEBYTECODE": "1"}


def runner(who: str, work: Path) -> Running:
    python = interpreter_of(who)

    def run(program: str, limits: Limits = TIGHT, **changed: object) -> Run:
        """The program does begin; its output after that."""
        (work / "main.py").write_text(f"print({BEGUN!r}, flush=True)\n{program}")
        wanted = {"work": str(work), "limits": asdict(replace(limits, **changed))}  # type: ignore[arg-type]
        command = [*becoming(who), python, str(DRIVER)]
        told = subprocess.run(
            command, input=json.dumps(wanted), env=environment(), capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        done = Run(**json.loads(told.stdout))
        head, begun, rest = done.output.partition(f"{BEGUN}\n")
        assert (head, begun) == ("", f"{BEGUN}\n"), done
        return replace(done, output=rest)

    return run


def number(name: str) -> int:
    """Of a system call, on this machine."""
    found = next(calls[name] for calls in DENIED.values() if name in calls)
    return found[PROCESSORS[platform.machine()].column]


def words(run: Running, program: str) -> list[str]:
    done = run(CALLS + program)
    assert done.code == 0, done
    return done.output.split()
