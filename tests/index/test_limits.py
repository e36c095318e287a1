"""The index's process ends when it uses too much, whatever it is busy with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codegeex_lsp.index import limits

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of the system")


def run(script: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        capture_output=True,
        timeout=60,
    )


def test_a_step_that_never_ends_is_ended_though_no_thread_can_run() -> None:
    script = """
import re
from codegeex_lsp.index import limits
limits.hold()
limits.next_step(1)
re.fullmatch("(a*)*b", "a" * 100)
"""
    assert run(script).returncode == -signal.SIGXCPU


def test_many_short_steps_go_on() -> None:
    script = """
import time
from codegeex_lsp.index import limits
limits.hold()
while time.process_time() < 4:
    limits.next_step(1)
"""
    assert run(script).returncode == 0


def test_memory_has_an_end() -> None:
    script = """
from codegeex_lsp.index import limits
limits.hold()
bytearray(limits.MOST_MEMORY + 1)
"""
    done = run(script)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == b"MemoryError"


def test_an_index_that_needs_too_much_memory_says_so(tmp_path: Path) -> None:
    """Under a limit that a file of 64 MiB passes."""
    (tmp_path / "a.py").write_text("x = 'some text'\n" * (1 << 22))
    script = """
from codegeex_lsp.index import limits
from codegeex_lsp.index.__main__ import main
limits.MOST_MEMORY = 100 << 20
main()
"""
    bounds = {"files": 10, "file_bytes": 1 << 30, "bytes": 1 << 30}
    begin = {"do": "begin", "roots": [str(tmp_path)], "bounds": bounds}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CODEGEEX_CACHE_DIR": str(tmp_path / "cache")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(begin).encode() + b"\n")
        process.stdin.flush()
        told = [json.loads(line) for line in process.stdout]
    assert told[-1]["phase"] == "failed"
    assert "needs more than 100 MiB" in told[-1]["message"]
    assert "codegeex.index.maxFiles" in told[-1]["message"]


def test_a_limit_that_is_there_already_stays() -> None:
    script = """
import resource
from codegeex_lsp.index import limits
resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, 256 << 20))
limits.hold()
assert resource.getrlimit(resource.RLIMIT_DATA) == (256 << 20, 256 << 20)
"""
    assert run(script).returncode == 0
    assert limits.MOST_MEMORY > 256 << 20
