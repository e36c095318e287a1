"""The commands of `codegeex-lsp` as processes: exit codes, stdout, and one line on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from editor import Editor
from fake_runtime import FakeRuntime, candidates
from wire import ROOT

from model_runtime.wire.protocol import Failure, Generate, Loading, ModelState, Reason

Done = subprocess.CompletedProcess[str]


def run(*arguments: str, stdin: str | None = None) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "codegeex_lsp", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        input=stdin,
        timeout=60,
    )


def assert_refused(done: Done, *words: str) -> None:
    """Exit code 2 with one line that says what is wrong."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "code.py"
    path.write_text("import os\n\ntotal = \n", encoding="utf-8")
    return path


# --- complete -----------------------------------------------------------------------------------


def test_complete_prints_the_completion(
    fake: FakeRuntime, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    fake.answer = lambda request: candidates("😀_sum(x)")
    done = run("complete", f"{code}:3:9")
    assert (done.returncode, done.stdout) == (0, "😀_sum(x)\n")
    assert done.stderr.startswith("[fake, from model, ")
    request = fake.requests[0]
    assert (request.prefix, request.suffix) == ("import os\n\ntotal = ", "\n")
    assert (request.language, request.candidates) == ("Python", 1)


def test_complete_prints_what_stands_before(fake: FakeRuntime, code: Path) -> None:
    done = run("complete", "--context", "1", f"{code}:3:9")
    assert (done.returncode, done.stdout) == (0, "\ntotal = answer()\n")


def test_complete_prints_several(fake: FakeRuntime, code: Path) -> None:
    fake.answer = lambda request: candidates("one()", "two()")
    done = run("complete", "--candidates", "2", f"{code}:3:9")
    assert (done.returncode, done.stdout) == (0, "one()\ntwo()\n")
    assert fake.requests[0].candidates == 2


def test_complete_prints_json(fake: FakeRuntime, code: Path) -> None:
    done = run("complete", "--json", f"{code}:3:9")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert told["model"] == "fake"
    assert [one["text"] for one in told["suggestions"]] == ["answer()"]
    assert told["reason"] is None


def test_complete_waits_for_the_model(fake: FakeRuntime, code: Path) -> None:
    fake.state = ModelState(Loading.LOADING)
    with subprocess.Popen(
        [sys.executable, "-m", "codegeex_lsp", "complete", f"{code}:3:9"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        fake.wait(lambda it: it.clients)
        fake.push(ModelState(Loading.READY))
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "answer()\n")


def failed(request: Generate) -> Failure:
    return Failure(0, Reason.NOTHING_GENERATED, "There was nothing to say.")


def test_complete_without_a_completion(fake: FakeRuntime, code: Path) -> None:
    fake.answer = failed
    done = run("complete", f"{code}:3:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "There was nothing to say.\n"
    told = run("complete", "--json", f"{code}:3:9")
    assert told.returncode == 1
    assert json.loads(told.stdout)["reason"] == "nothing_generated"


def test_complete_when_loading_failed(fake: FakeRuntime, code: Path) -> None:
    fake.state = ModelState(Loading.FAILED, "The weights are damaged.")
    done = run("complete", f"{code}:3:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The weights are damaged.\n"


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("code.py", "FILE:LINE:COL"),
        ("code.py:3", "FILE:LINE:COL"),
        ("code.py:three:1", "FILE:LINE:COL"),
        ("code.py:1:" + "9" * 5000, "FILE:LINE:COL"),
        ("code.py:1:1.5", "FILE:LINE:COL"),
        ("code.py:0:1", "no line 0"),
        ("code.py:-1:1", "no line -1"),
        ("code.py:9:1", "no line 9"),
        ("code.py:3:0", "no column 0"),
        ("code.py:3:10", "columns 1 to 9"),
        ("missing.py:1:1", "No such file"),
        (".:1:1", "not a file"),
        (":1:1", "not a file"),
        ("pipe:1:1", "not a file"),
        ("binary:1:1", "no text"),
        ("loop:1:1", "symbolic links"),
        ("zero:1:1", "not a file"),
        ("gone:1:1", "No such file"),
        ("socket:1:1", "not a file"),
        ("large:1:1", "too large"),
        ("wide:1:1", "too large"),
    ],
    ids=lambda value: value[:20],
)
def test_complete_at_a_bad_place(
    user: Path, code: Path, monkeypatch: pytest.MonkeyPatch, place: str, word: str
) -> None:
    folder = code.parent
    os.mkfifo(folder / "pipe")
    (folder / "binary").write_bytes(b"\x7fELF\0\0")
    (folder / "loop").symlink_to("loop")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "gone").symlink_to("nothing")
    with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as end:
        end.bind("socket")
    if place.startswith(("large", "wide")):
        (folder / "large").write_bytes(b"x = 1\n" * 1_700_000)
        (folder / "wide").write_bytes(b"x" * (17 * 2**20))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "codegeex_lsp", "complete", place],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert_refused(done, word)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_complete_counts_characters_in_whatever_encoding(
    fake: FakeRuntime, tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "a.py").write_bytes('name = "产品名称"\ntitle = '.encode(encoding))
    (tmp_path / "link.py").symlink_to("a.py")
    assert run("complete", f"{tmp_path / 'link.py'}:2:9").returncode == 0
    assert fake.requests[-1].prefix == 'name = "产品名称"\ntitle = '


def test_complete_reads_an_empty_file(fake: FakeRuntime, tmp_path: Path) -> None:
    (tmp_path / "empty.py").touch()
    done = run("complete", f"{tmp_path / 'empty.py'}:1:1")
    assert (done.returncode, done.stdout) == (0, "answer()\n")


def test_complete_asks_by_hand_so_code_may_follow_the_cursor(fake: FakeRuntime, code: Path) -> None:
    assert run("complete", "--lines", "4", f"{code}:1:3").returncode == 0
    assert fake.requests[-1].max_lines == 4


# --- status, doctor, serve ----------------------------------------------------------------------


def test_status(fake: FakeRuntime) -> None:
    assert run("status").stdout == "model: fake\n"
    assert json.loads(run("status", "--json").stdout) == {"model": "fake"}


def test_status_without_a_runtime(user: Path) -> None:
    done = run("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "No model runtime is running for fake; one starts with the first completion.\n"
    )


def test_status_shows_what_editors_were_told(fake: FakeRuntime, editor: Editor, user: Path) -> None:
    editor.file("").ask()
    file = editor.file("y = ‸")
    file.ask()
    file.ask()
    fake.wait(lambda it: it.activities and it.activities[-1].requests == 3)
    tally = fake.activities[-1]
    assert (tally.cached, tally.shown, tally.empty, tally.last) == (1, 2, {"blank": 1}, "shown")


def test_doctor(user: Path) -> None:
    done = run("doctor")
    assert done.returncode in (0, 1)
    verdicts = {line[:4].strip() for line in done.stdout.splitlines()}
    assert verdicts <= {"ok", "fix"}
    assert ("fix" in verdicts) is (done.returncode == 1)
    names = [line[4:].split()[0] for line in done.stdout.splitlines()]
    assert {"codegeex-lsp", "python", "settings", "socket", "logs", "runtime"} <= set(names)
    # The model "fake" exists nowhere, so at least this has to be found.
    assert done.returncode == 1


@pytest.mark.parametrize("command", ["complete", "status", "doctor"])
def test_a_bad_setting_is_told_with_its_choices(
    fake: FakeRuntime, code: Path, user: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (user / "config.toml").write_text("device = 'cpu'\nidle_exit_s = 0\n")
    monkeypatch.setenv("CODEGEEX_DEVICE", "gpu")
    done = run(command, *([f"{code}:3:9"] if command == "complete" else []))
    told = done.stdout if command == "doctor" else done.stderr
    assert 'The setting "idle_exit_s" must be a whole number from 1 to 2592000; 600 stays.' in told
    assert '"CODEGEEX_DEVICE" must be "auto" or "cpu" or "cuda" or "npu"; "cpu" stays.' in told
    assert done.returncode == (1 if command == "doctor" else 0)


def test_doctor_tries_the_embedding_model(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGEEX_MODEL", "codegeex-nano")
    monkeypatch.setenv("CODEGEEX_EMBEDDING_MODEL", "codegeex-nano")
    done = run("doctor")
    assert "fix embedding     codegeex-nano -> it makes no vectors" in done.stdout
    monkeypatch.setenv("CODEGEEX_EMBEDDING_MODEL", "./nowhere")
    assert "-> There is no model folder " in run("doctor").stdout


def test_serve_takes_the_arguments_editors_pass(
    fake: FakeRuntime, editors: Callable[..., Editor]
) -> None:
    python = (sys.executable, "-m", "codegeex_lsp")
    for arguments in (("--stdio",), ("serve",), ("serve", "--stdio", "--log-level", "debug")):
        editor = editors(command=(*python, *arguments))
        assert editor.begin()
        assert editor.shutdown() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["serve", "--log-level", "loud"],
        ["serve", "here"],
        ["complete"],
        ["complete", "--candidates", "0", "x:1:1"],
        ["complete", "--candidates", "many", "x:1:1"],
        ["complete", "--context", "-1", "x:1:1"],
        ["status", "now"],
        ["doctor", "--json"],
    ],
    ids=" ".join,
)
def test_bad_arguments(arguments: list[str]) -> None:
    assert_refused(run(*arguments), "codegeex-lsp", "--help")


@pytest.mark.parametrize("arguments", [["--help"], ["complete", "--help"], ["--version"]], ids=str)
def test_help(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
