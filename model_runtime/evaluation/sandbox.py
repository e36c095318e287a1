"""Runs one untrusted command under bubblewrap: no network, no host files, hard limits.

Inside there are a read-only /usr, the folders it was given, an own /tmp in memory, own process
numbers, no capability, and fewer system calls (syscalls.py). Started by a user, all of that is in a
user namespace that can't have another one in it. Started by root, bubblewrap mounts and setpriv(1)
then takes a user id that nobody has: RLIMIT_NPROC means nothing to root, and counts per user, so
each sandbox has its own id. A user namespace maps but one id for bubblewrap, so root has none, and
the filter alone keeps new ones out. Knows no language and no verdicts; the runners call run().
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from model_runtime.evaluation import cgroups
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.supervision import LOOK_S, Limits, Run, supervise
from model_runtime.evaluation.syscalls import filter_program

TOOLS = (("bwrap", "bubblewrap"), ("prlimit", "util-linux"), ("setpriv", "util-linux"))
# Ids that no account has; a block of 64 for each evaluation that runs at the same time.
FIRST_USER_ID = 0x10000000
IDS_A_PROCESS = 64
NAMESPACES = ("pid", "net", "ipc", "uts", "cgroup")
USER_NAMESPACE = ("--unshare-user", "--uid", "65534", "--gid", "65534")
NO_MORE_OF_THEM = "--disable-userns"
TMP = "/tmp"  # noqa: S108 - the sandbox's own
# No /dev/zero, whose pages can be shared and are then counted nowhere, and no terminals.
DEVICES = ("null", "random", "urandom")
DEVICE_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    (TMP, "/dev/shm"),  # noqa: S108 - shared memory counts as files in /tmp
)
INSIDE = "/program"
# Programs outside these aren't seen inside.
PATH = "/usr/local/bin:/usr/bin:/bin"
# Each socket's buffers hold 200 KiB in the kernel, which only a cgroup counts.
DESCRIPTORS = 64
# bwrap, and its first process inside.
OURS = 2


class Sandbox:
    """One place to run things in, one run at a time. `slot` tells simultaneous ones apart."""

    def __init__(self, slot: int = 0, *, bare: bool = False) -> None:
        self._bare = bare
        self._root = os.geteuid() == 0
        self._user = FIRST_USER_ID + os.getpid() * IDS_A_PROCESS + slot

    def run(
        self,
        command: list[str],
        limits: Limits,
        work: Path,
        *,
        writable: bool = False,
        readable: Sequence[Path] = (),
        environment: dict[str, str] | None = None,
    ) -> Run:
        """Run it in the folder `work` to its end or its limits; what it started is dead afterwards.

        Inside, `work` is /program, and what is `readable` besides has its own name.
        """
        environment = {"PATH": PATH, "HOME": TMP, **(environment or {})}
        command = [*_limited(limits), *command]
        if self._bare:
            return supervise(command, limits, work, environment)
        if self._root:
            command = [*_drop_to(self._user), *command]
        walls = self._walls(limits, work, writable, readable, environment)
        with cgroups.held(limits.memory, limits.processes + OURS) as group, _filter() as rules:
            walls += ["--seccomp", str(rules)]
            # bwrap itself has no environment: the program can read its.
            return supervise(command, limits, work, {}, walls, group, rules)

    def own(self, path: Path) -> None:
        """Let the sandbox's user write to a folder."""
        if self._root and not self._bare:
            os.chown(path, self._user, self._user)

    def _walls(
        self,
        limits: Limits,
        work: Path,
        writable: bool,
        readable: Sequence[Path],
        environment: dict[str, str],
    ) -> list[str]:
        """bwrap and its arguments, in the order in which it mounts."""
        bubblewrap = shutil.which("bwrap") or "bwrap"
        walls = [bubblewrap, "--die-with-parent", "--new-session", "--clearenv"]
        walls += [f"--unshare-{kind}" for kind in NAMESPACES]
        walls += [] if self._root else _user_namespace(bubblewrap)
        walls += ["--ro-bind", "/usr", "/usr", "--proc", "/proc"]
        for link in ("bin", "lib", "lib64", "sbin"):
            if Path("/", link).exists():
                walls += ["--symlink", f"usr/{link}", f"/{link}"]
        walls += ["--perms", "0755", "--dir", "/etc"]
        for found in ("/etc/alternatives", "/etc/ld.so.cache"):
            walls += ["--ro-bind-try", found, found]
        walls += ["--perms", "0755", "--dir", "/dev"]
        for name in DEVICES:
            walls += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
        for source, link in DEVICE_LINKS:
            walls += ["--symlink", source, link]
        walls += ["--perms", "1777", "--size", str(limits.disk), "--tmpfs", TMP]
        for path in readable:
            for parent in reversed(path.parents[:-1]):
                walls += ["--perms", "0755", "--dir", str(parent)]
            walls += ["--ro-bind", str(path), str(path)]
        walls += ["--bind" if writable else "--ro-bind", str(work), INSIDE, "--chdir", INSIDE]
        walls += ["--remount-ro", "/"]
        for name, value in environment.items():
            walls += ["--setenv", name, value]
        return walls


@cache
def _user_namespace(bubblewrap: str) -> list[str]:
    """That and no further one in it, where bubblewrap knows how to: from 0.8 on, without setuid."""
    walls = [*USER_NAMESPACE, NO_MORE_OF_THEM]
    tried = subprocess.run(  # noqa: S603 - bubblewrap, and nothing else
        [bubblewrap, *walls, "--ro-bind", "/", "/", "true"],
        capture_output=True,
        check=False,
    )
    return list(USER_NAMESPACE) if tried.returncode else walls


@contextmanager
def _filter() -> Iterator[int]:
    """A descriptor to read the filter from."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:  # closed at once: its reader waits for the end
            pipe.write(filter_program())
        yield reading
    finally:
        os.close(reading)


def _drop_to(user: int) -> list[str]:
    ids = ["--reuid", str(user), "--regid", str(user), "--clear-groups"]
    return ["setpriv", *ids, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def _limited(limits: Limits) -> list[str]:
    """prlimit(1) inside the walls: a process limit set outside would count the user's others."""
    command = ["prlimit", f"--nproc={limits.processes}", f"--cpu={int(limits.seconds) + 1}"]
    command += [f"--fsize={limits.file_size}", "--core=0", f"--nofile={DESCRIPTORS}", "--memlock=0"]
    kind = "as" if limits.address_space else "data"
    return [*command, f"--{kind}={limits.memory}", "--"]


def require_isolation() -> None:
    """Try a sandbox. Raises EvaluationError where there is none; run nothing then."""
    advice = "nothing was executed; on a machine of no worth, --unsafe does without."
    for tool, package in TOOLS:
        if shutil.which(tool) is None:
            raise EvaluationError(
                f"{tool} isn't installed, which isolates programs (apt-get install {package}); "
                + advice
            )
    with tempfile.TemporaryDirectory() as folder:
        tried = Sandbox().run(["true"], Limits(), Path(folder))
    if tried.code != 0:
        reason = tried.output.strip().splitlines()[-1:] or ["it ends at once"]
        raise EvaluationError(f"bubblewrap can't isolate programs here ({reason[0]}); {advice}")


def limits_held(*, bare: bool) -> str:
    """Who holds programs to their limits, in one sentence."""
    if bare:
        return "The programs ran without any isolation."
    if cgroups.divisible():
        return "The kernel held each program to its memory and processes, in a cgroup."
    return (
        "No cgroup with a memory limit can be made here: each program's memory was looked at "
        f"every {LOOK_S} s, and could be more for as long."
    )
