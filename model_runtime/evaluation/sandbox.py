"""Runs one untrusted command under bubblewrap: no network, no host files, hard limits.

Inside there are a read-only /usr, the folders it was given, an own /tmp in memory, own process
numbers and no capability. Started by root, bubblewrap mounts and setpriv(1) then takes a user id
that nobody has: RLIMIT_NPROC means nothing to root, and counts per user, so each sandbox has its
own id. Started by a user, a user namespace does the same. Knows no language and no verdicts; the
runners call run().
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_runtime.evaluation.errors import EvaluationError

MIB = 1024 * 1024
# A run's whole tree is looked at so often for its memory.
LOOK_S = 0.1
READ_BYTES = 64 * 1024
TOOLS = (("bwrap", "bubblewrap"), ("prlimit", "util-linux"), ("setpriv", "util-linux"))
# Ids that no account has; a block of 64 for each evaluation that runs at the same time.
FIRST_USER_ID = 0x10000000
IDS_A_PROCESS = 64
TMP = "/tmp"  # noqa: S108 - the sandbox's own
INSIDE = "/program"
# Programs outside these aren't seen inside.
PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run. `address_space` also limits what is only reserved, which Java, node and Go do by
    gigabytes; they have it off and are held by `memory`, which counts the whole tree's pages."""

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


class Sandbox:
    """One place to run things in, one run at a time. `slot` tells simultaneous ones apart."""

    def __init__(self, slot: int = 0, *, bare: bool = False) -> None:
        self._bare = bare
        _adopt_orphans()
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
        if not self._bare:
            if self._root:
                command = [*_drop_to(self._user), *command]
            walls = self._walls(limits, work, writable, readable, environment)
            command = [*walls, "--", *command]
            environment = {"PATH": os.environ.get("PATH", PATH)}  # what bwrap itself may know
        return _supervise(command, limits, work, environment)

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
        walls = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
        if self._root:
            walls[1:2] = [f"--unshare-{kind}" for kind in ("pid", "net", "ipc", "uts", "cgroup")]
        else:
            walls += ["--uid", "65534", "--gid", "65534"]
        walls += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
        for link in ("bin", "lib", "lib64", "sbin"):
            if Path("/", link).exists():
                walls += ["--symlink", f"usr/{link}", f"/{link}"]
        walls += ["--perms", "0755", "--dir", "/etc"]
        for found in ("/etc/alternatives", "/etc/ld.so.cache"):
            walls += ["--ro-bind-try", found, found]
        walls += ["--size", str(MIB), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
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


def _adopt_orphans() -> None:
    """prctl(PR_SET_CHILD_SUBREAPER): what our children leave behind becomes our child."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def _drop_to(user: int) -> list[str]:
    ids = ["--reuid", str(user), "--regid", str(user), "--clear-groups"]
    return ["setpriv", *ids, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def _limited(limits: Limits) -> list[str]:
    """prlimit(1) inside the walls: a process limit set outside would count the user's others."""
    command = ["prlimit", f"--nproc={limits.processes}", f"--cpu={int(limits.seconds) + 1}"]
    command += [f"--fsize={limits.file_size}", "--core=0", "--nofile=256", "--memlock=0"]
    kind = "as" if limits.address_space else "data"
    return [*command, f"--{kind}={limits.memory}", "--"]


def _supervise(command: list[str], limits: Limits, work: Path, environment: dict[str, str]) -> Run:
    reading, writing = os.pipe()
    if command[0] == "bwrap":
        command = ["bwrap", "--info-fd", str(writing), *command[1:]]
    process = subprocess.Popen(  # noqa: S603 - it is what this module is for
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=work,
        env=environment,
        pass_fds=(writing,),
        start_new_session=True,
    )
    os.close(writing)
    try:
        output, stopped = _watch(process, limits)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        _reap(reading)
        os.close(reading)
        assert process.stdout is not None  # noqa: S101
        process.stdout.close()
    text = output.decode(errors="replace")
    return Run(128 - code if code < 0 else code, text, stopped)


def _reap(information: int) -> None:
    """Wait until everything inside is dead, so that its CPU time counts as our children's.

    The sandbox's first process dies with bwrap and takes the others along. bwrap doesn't wait for
    it, so it becomes ours. What a limit killed doesn't count: the kernel adds up only what ended.
    """
    if said := os.read(information, READ_BYTES):
        os.waitpid(json.loads(said)["child-pid"], 0)


def _watch(process: subprocess.Popen[bytes], limits: Limits) -> tuple[bytes, str]:
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
                if resident_bytes(process.pid) > limits.memory:
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


def resident_bytes(pid: int) -> int:
    """Memory in use by a process and all below it, without what they share with files."""
    total = 0
    waiting = [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
            resident, shared = (folder / "statm").read_text().split()[1:3]
            total += (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")
            for children in folder.glob("task/*/children"):
                waiting += map(int, children.read_text().split())
    return total


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
