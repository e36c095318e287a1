"""Hostile programs: each ends as a failure within its limits, and the host is as it was."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hostile import TIGHT, Running

from model_runtime.evaluation import sandbox
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.runners.python import interpreter, python_folders
from model_runtime.evaluation.sandbox import require_isolation
from model_runtime.evaluation.supervision import MIB


def processes_with(word: str) -> list[str]:
    """The command lines on this machine that hold a word."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if word in line]


def test_a_plain_program_runs_and_its_cpu_time_counts_as_ours(run: Running) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = run("print(sum(range(20_000_000)))")
    assert (done.code, done.output) == (0, "199999990000000\n")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before > 0.1


def test_an_exit_code_comes_through(run: Running) -> None:
    assert run("raise SystemExit(83)").code == 83


def test_an_endless_loop_ends(run: Running) -> None:
    done = run("while True: pass", seconds=3.0)
    assert done.stopped == "time"


def test_a_program_that_sleeps_ends(run: Running) -> None:
    done = run("import time; time.sleep(60)", seconds=3.0)
    assert done.stopped == "time"


def test_a_fork_bomb_stays_small_and_leaves_nobody(run: Running) -> None:
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
    done = run(bomb, seconds=4.0)
    assert done.stopped == "time"
    assert int(done.output.split()[0]) < TIGHT.processes
    assert not processes_with("main.py")


def test_memory_of_one_process_is_limited(run: Running) -> None:
    done = run("x = bytearray(1 << 30)")
    assert done.code == 1
    assert "MemoryError" in done.output


def test_memory_of_many_processes_together_is_limited(run: Running) -> None:
    hungry = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        break
x = bytearray(os.urandom(1 << 20)) * 100
time.sleep(100)
"""
    assert run(hungry, seconds=60.0).stopped == "memory"


def test_a_gigabyte_of_output_is_cut(run: Running) -> None:
    done = run("import os\nfor _ in range(1024): os.write(1, b'x' * (1 << 20))")
    assert done.stopped == "output"
    assert len(done.output) <= TIGHT.output


def test_the_disk_is_limited(run: Running) -> None:
    filling = """
import errno
try:
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as file:
            file.write(bytes(8 << 20))
except OSError as error:
    print(errno.errorcode[error.errno], number * 8)
"""
    code, written = run(filling).output.split()
    assert code == "ENOSPC"
    assert int(written) <= TIGHT.disk // MIB


def test_a_large_file_is_limited(run: Running) -> None:
    program = "open('/tmp/large', 'wb').write(bytes(48 << 20))"
    assert run(program).code != 0


def test_deleting_the_working_folder_deletes_nothing(run: Running, work: Path) -> None:
    run("import shutil; shutil.rmtree('/program', ignore_errors=True)")
    run("import shutil; shutil.rmtree('/', ignore_errors=True)")
    assert (work / "main.py").exists()
    assert Path("/usr/bin/env").exists()


def test_what_runs_on_behind_is_dead(run: Running) -> None:
    done = run("import os, time\nif os.fork() == 0: os.setsid(); time.sleep(3600)")
    assert done.code == 0 or done.stopped
    assert not processes_with("main.py")


@pytest.mark.usefixtures("isolation")
def test_an_interrupted_evaluation_leaves_nobody(work: Path) -> None:
    """The sandbox dies with the process that started it."""
    (work / "main.py").write_text("import time; time.sleep(3600)")
    script = (
        "import sys; from pathlib import Path\n"
        "from model_runtime.evaluation.runners.python import interpreter, python_folders\n"
        "from model_runtime.evaluation.sandbox import Sandbox\n"
        "from model_runtime.evaluation.supervision import Limits\n"
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
