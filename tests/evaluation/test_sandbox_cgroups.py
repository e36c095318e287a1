"""Limits that the kernel holds: in a machine of its own where this one has no cgroup to divide.

User-mode Linux is a kernel that runs as a program, with this machine's files, read-only.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "linux.uml"
USER = 0x20000000
# As root it divides the root's group; for the ordinary user, a group that was given to it.
BOOT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroups /sys/fs/cgroup
mount -t tmpfs -o mode=1777 tmpfs /run
export PATH=/usr/bin:/bin TMPDIR=/run PYTHONPATH=/run PYTHONDONTWRITEBYTECODE=1
# The user may not read a checkout that is somebody's own.
cp -r {root}/model_runtime {program} /run
python3 /run/program.py
cd /sys/fs/cgroup
mkdir given given/here
echo "+memory +pids" >cgroup.subtree_control
echo "+memory +pids" >given/cgroup.subtree_control
chown -R {user} given
echo $$ >given/here/cgroup.procs
setpriv --reuid {user} --regid {user} --clear-groups --inh-caps=-all python3 /run/program.py
cd /sys/fs/cgroup
echo left: codegeex-eval-* given/codegeex-eval-*
/sbin/halt -f
"""
PROGRAM = """
import tempfile
from pathlib import Path
from model_runtime.evaluation import cgroups
from model_runtime.evaluation.sandbox import Sandbox, limits_held
from model_runtime.evaluation.supervision import MIB, Limits

print("said:", limits_held(bare=False), cgroups.divisible(), flush=True)
killed = cgroups.divisible() / "codegeex-eval-999999-killed"
killed.mkdir()
cgroups._sweep(cgroups.divisible())
print("swept:", not killed.exists(), flush=True)
work = Path(tempfile.mkdtemp())
work.chmod(0o755)
(work / "full.py").write_text('''
import os
files = [os.open(f"/tmp/{number}", os.O_RDWR | os.O_CREAT) for number in range(20)]
for file in files:
    os.write(file, bytes(8 << 20))
print("all of it", flush=True)
''')
(work / "plain.py").write_text("print('hello')")
for name in ("plain.py", "full.py"):
    limits = Limits(seconds=60.0, memory=64 * MIB, disk=512 * MIB, address_space=False)
    print("ran:", Sandbox().run(["/usr/bin/python3", "-I", name], limits, work), flush=True)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the programs said, and what was left."""
    kernel = shutil.which(KERNEL)
    if kernel is None:
        pytest.skip("no kernel that runs as a program (apt-get install user-mode-linux)")
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap isn't installed")
    python = shutil.which("/usr/bin/python3")
    if python is None or subprocess.run([python, "-c", "import tomllib"]).returncode:
        pytest.skip("the system's own Python is older than 3.11, or there is none")
    folder = tmp_path_factory.mktemp("machine")
    program, boot = folder / "program.py", folder / "boot"
    program.write_text(PROGRAM)
    boot.write_text(BOOT.format(root=ROOT, program=program, user=USER))
    boot.chmod(0o755)
    command = [kernel, "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
    command += [f"init={boot}", "con=null", "con0=fd:0,fd:1"]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110
    )
    begins = ("said:", "swept:", "ran:", "left:")
    return [line for line in ran.stdout.splitlines() if line.startswith(begins)]


def test_root_and_a_user_with_a_group_of_its_own_are_held(told: list[str]) -> None:
    sentence = "said: The kernel held each program to its memory and processes, in a cgroup."
    said = [line for line in told if line.startswith("said:")]
    assert said == [f"{sentence} /sys/fs/cgroup", f"{sentence} /sys/fs/cgroup/given"]


def test_files_in_memory_count_and_others_run(told: list[str]) -> None:
    runs = [line for line in told if line.startswith("ran:")]
    plain = "ran: Run(code=0, output='hello\\n', stopped='')"
    full = "ran: Run(code=137, output='', stopped='memory')"
    assert runs == [plain, full] * 2


def test_nothing_is_left_behind(told: list[str]) -> None:
    assert [line for line in told if line.startswith("swept:")] == ["swept: True"] * 2
    assert told[-1] == "left: codegeex-eval-* given/codegeex-eval-*"
