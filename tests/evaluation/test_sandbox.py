"""Hostile programs: each ends as a failure within its limits, and the host is as it was."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from model_runtime.evaluation import sandbox
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.runners.python import interpreter, python_folders
from model_runtime.evaluation.sandbox import MIB, Limits, Run, Sandbox, require_isolation

pytestmark = pytest.mark.usefixtures("isolation")
BEGUN = "begun"
TIGHT = Limits(seconds=4.0, memory=256 * MIB, processes=12)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder that the sandbox's user may read, as the evaluation's own are."""
    tmp_path.chmod(0o755)
    return tmp_path


def run(work: Path, program: str, limits: Limits = TIGHT) -> Run:
    """Run a Python program in a sandbox of its own; it does begin."""
    (work / "main.py").write_text(f"print({BEGUN!r}, flush=True)\n{program}")
    command = [str(interpreter()), "-s", "-B", "main.py"]
    done = Sandbox().run(command, limits, work, readable=python_folders())
    head, begun, rest = done.output.partition(f"{BEGUN}\n")
    assert (head, begun) == ("", f"{BEGUN}\n"), done
    return replace(done, output=rest)


def processes_with(word: str) -> list[str]:
    """The command lines on this machine that hold a word."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if word in line]


def test_a_plain_program_runs_and_its_cpu_time_counts_as_ours(work: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = run(work, "print(sum(range(20_000_000)))")
    assert (done.code, done.output) == (0, "199999990000000\n")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before > 0.1


def test_an_exit_code_comes_through(work: Path) -> None:
    assert run(work, "raise SystemExit(83)").code == 83


def test_an_endless_loop_ends(work: Path) -> None:
    done = run(work, "while True: pass", replace(TIGHT, seconds=1.0))
    assert done.stopped == "time"


def test_a_program_that_sleeps_ends(work: Path) -> None:
    done = run(work, "import time; time.sleep(60)", replace(TIGHT, seconds=0.5))
    assert done.stopped == "time"


def test_a_fork_bomb_stays_small_and_leaves_nobody(work: Path) -> None:
    bomb = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            while True:
                try:
                    os.fork()
                except OSError:
                    time.sleep(0.05)
        made += 1
except OSError:
    print(made, flush=True)
time.sleep(60)
"""
    done = run(work, bomb, replace(TIGHT, seconds=2.0))
    assert done.stopped == "time"
    assert int(done.output.split()[0]) < TIGHT.processes
    assert not processes_with("main.py")


def test_memory_of_one_process_is_limited(work: Path) -> None:
    done = run(work, "x = bytearray(1 << 30)")
    assert done.code == 1
    assert "MemoryError" in done.output


def test_memory_of_many_processes_together_is_limited(work: Path) -> None:
    hungry = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        break
x = bytearray(os.urandom(1 << 20)) * 100
time.sleep(60)
"""
    assert run(work, hungry).stopped == "memory"


def test_a_gigabyte_of_output_is_cut(work: Path) -> None:
    done = run(work, "import os\nfor _ in range(1024): os.write(1, b'x' * (1 << 20))")
    assert done.stopped == "output"
    assert len(done.output) <= TIGHT.output


def test_the_disk_is_limited(work: Path) -> None:
    filling = """
import errno
try:
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as file:
            file.write(bytes(8 << 20))
except OSError as error:
    print(errno.errorcode[error.errno], number * 8)
"""
    code, written = run(work, filling).output.split()
    assert code == "ENOSPC"
    assert int(written) <= TIGHT.disk // MIB


def test_a_large_file_is_limited(work: Path) -> None:
    program = "open('/tmp/large', 'wb').write(bytes(48 << 20))"
    assert run(work, program).code != 0


@pytest.mark.parametrize("place", ["/", "/dev", "/proc", "/usr/bin", "/program", "/etc"])
def test_nothing_but_its_tmp_can_be_written(work: Path, place: str) -> None:
    program = f"""
import os
os.makedirs({place!r}, exist_ok=True)
for number in range(64):
    open(os.path.join({place!r}, f"evil{{number}}"), "wb").write(bytes(1 << 20))
"""
    assert run(work, program).code != 0
    assert sorted(path.name for path in work.iterdir()) == ["main.py"]


def test_files_of_the_host_are_not_there(
    work: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("host") / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    program = f"""
import os
for path in ({str(secret)!r}, "/etc/passwd", "/etc/shadow", "/root/.bashrc", "/proc/1/environ"):
    try:
        print(path, len(open(path, "rb").read()))
    except OSError as error:
        print(type(error).__name__)
print(sorted(os.listdir("/")))
"""
    lines = run(work, program).output.splitlines()
    assert set(lines[:-1]) <= {"FileNotFoundError", "PermissionError"}
    assert "home" not in lines[-1]


def test_the_environment_is_not_passed_on(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGEEX_SECRET", "42")
    assert "CODEGEEX_SECRET" not in run(work, "import os; print(dict(os.environ))").output


def test_there_is_no_network_not_even_the_loopback(work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import socket
try:
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 2)
except OSError:
    raise SystemExit(83)
"""
        assert run(work, program).code == 83
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_it_can_kill_neither_its_parent_nor_anybody(work: Path) -> None:
    program = f"""
import os, signal
for pid in (os.getppid(), {os.getpid()}, -1):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
"""
    with subprocess.Popen(["sleep", "60"]) as bystander:
        run(work, program)
        assert bystander.poll() is None
        bystander.kill()


def test_deleting_the_working_folder_deletes_nothing(work: Path) -> None:
    run(work, "import shutil; shutil.rmtree('/program', ignore_errors=True)")
    run(work, "import shutil; shutil.rmtree('/', ignore_errors=True)")
    assert (work / "main.py").exists()
    assert Path("/usr/bin/env").exists()


def test_what_runs_on_behind_is_dead(work: Path) -> None:
    done = run(work, "import os, time\nif os.fork() == 0: os.setsid(); time.sleep(3600)")
    assert done.code == 0 or done.stopped
    assert not processes_with("main.py")


def test_no_capability_and_no_way_to_new_ones(work: Path) -> None:
    program = "print(open('/proc/self/status').read())"
    status = dict(
        line.split(":\t", 1) for line in run(work, program).output.splitlines() if ":\t" in line
    )
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_an_interrupted_evaluation_leaves_nobody(work: Path) -> None:
    """The sandbox dies with the process that started it."""
    (work / "main.py").write_text("import time; time.sleep(3600)")
    script = (
        "import sys; from pathlib import Path\n"
        "from model_runtime.evaluation.runners.python import interpreter, python_folders\n"
        "from model_runtime.evaluation.sandbox import Limits, Sandbox\n"
        "command = [str(interpreter()), 'main.py', 'left-behind']\n"
        "Sandbox().run(command, Limits(60.0), Path(sys.argv[1]), readable=python_folders())"
    )
    with subprocess.Popen(
        [str(interpreter()), "-c", script, str(work)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(Path(sandbox.__file__).parents[2]), *SITE])},
    ) as evaluation:
        wait_until(lambda: processes_with("main.py left-behind"))
        evaluation.send_signal(signal.SIGKILL)
    wait_until(lambda: not processes_with("main.py left-behind"))


SITE = [str(folder) for folder in python_folders()]


def wait_until(true: object) -> None:
    end = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_bubblewrap_nothing_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EvaluationError, match=r"apt-get install bubblewrap.*nothing was executed"):
        require_isolation()


def test_a_bubblewrap_that_can_not_isolate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create a new namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(EvaluationError, match="No permissions to create a new namespace"):
        require_isolation()
