"""The whole product: real servers, the real runtime they start, and the embedded model.

A runtime takes about two seconds to start, so all tests share the user, two windows and, but for
the one that kills it, the runtime.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from editor import Editor, File
from marked import MARK
from wire import ROOT

DEADLINE_S = 30.0
SECRET = "settings_of_a_user"  # noqa: S105

CODE = f"""import json


def load_settings(path):
    with open(path) as file:
        return json.load(file)


def save_settings(path, {SECRET}):
    with open(path, "w") as file:
        json.dump({SECRET}, file)


def main():
    {SECRET} = load_settings("settings.json")
    {SECRET}["count"] = {MARK}
"""


@pytest.fixture(scope="module")
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the runtime of a user who has nothing yet will be; it ends at once when idle."""
    home = tmp_path_factory.mktemp("user")
    (home / "config.toml").write_text("idle_exit_s = 1\n")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("CODEGEEX_RUNTIME_DIR", folder)
        patch.setenv("CODEGEEX_STATE_DIR", folder)
        patch.setenv("CODEGEEX_CONFIG", str(home / "config.toml"))
        patch.setenv("CODEGEEX_DEVICE", "cpu")
        patch.delenv("CODEGEEX_MODEL", raising=False)
        yield Path(folder)
        for process in runtimes(Path(folder)):
            process.kill()


@pytest.fixture(scope="module")
def windows(runtime_folder: Path) -> Iterator[tuple[Editor, Editor]]:
    """Two windows opened at the same moment, when no runtime runs; both models are ready.

    They show everything: what the embedded model says unasked it is mostly not sure enough of.
    """
    with Editor() as one, Editor() as other:
        for editor in (one, other):
            editor.begin(options={"completion": {"minimumConfidence": 0}})
        for editor in (one, other):
            editor.ready()
        yield one, other


@pytest.fixture
def editor(windows: tuple[Editor, Editor]) -> Iterator[Editor]:
    """A window that has seen no other test's text: the memory would go by it."""
    with Editor() as fresh:
        fresh.begin(options={"completion": {"minimumConfidence": 0}})
        fresh.ready()
        yield fresh


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codegeex_lsp", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
    )


def status() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(command("status", "--json").stdout)
    return report


def runtimes(folder: Path) -> list[psutil.Process]:
    """The runtime processes of this user."""
    found = []
    for process in psutil.process_iter():
        try:
            serves = process.cmdline()[2:5] == ["-m", "model_runtime", "serve"]
            if serves and process.environ().get("CODEGEEX_RUNTIME_DIR") == str(folder):
                found.append(process)
        except psutil.Error:  # it has ended, or is somebody else's
            continue
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """For what processes do without telling; looks ten times a second."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


def assert_completed(file: File) -> str:
    """One line for an automatic request and several candidates by hand; the former."""
    [item] = file.ask()
    line, character = file.cursor
    place = {"line": line, "character": character}
    assert item["range"] == {"start": place, "end": place}
    text: str = item["insertText"]
    assert text.strip()
    assert "\n" not in text
    assert len(file.ask(invoked=True)) > 1
    return text


def test_two_windows_share_one_runtime(
    windows: tuple[Editor, Editor], runtime_folder: Path
) -> None:
    """Both start one when both find none; the lock decides."""
    texts = [assert_completed(window.file(CODE)) for window in windows]
    assert texts[0] == texts[1]
    wait_until(lambda: len(runtimes(runtime_folder)) == 1)
    report = status()
    assert [process.pid for process in runtimes(runtime_folder)] == [report["pid"]]
    assert report["clients"] == 3  # two windows and the one who asks


def test_the_command_says_what_the_editor_shows(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(CODE.replace(MARK, ""))
    file = editor.file(CODE)
    line, column = file.cursor
    done = command("complete", f"{path}:{line + 1}:{column + 1}")
    assert done.returncode == 0
    assert [done.stdout.removesuffix("\n")] == file.texts()


def test_the_embedded_model_is_silent_when_it_is_not_sure(runtime_folder: Path) -> None:
    with Editor() as editor:
        editor.begin()
        editor.ready()
        file = editor.file(f"first = 3\nwhatever_comes = {MARK}\n")
        assert file.ask() == []
        assert file.reason() == "low_confidence"
        assert file.ask(invoked=True)


def test_typing_reuses_the_cached_prompt(editor: Editor) -> None:
    """Each keystroke asks for a completion of a file that fills most of the context."""
    lines = [f"def function_{n}(argument_{n}):\n    return argument_{n} * {n}\n" for n in range(20)]
    file = editor.file("\n".join(lines) + "\n\n")
    before = status()
    for letter in "vex = zip(qed":
        file.type(letter)
        file.ask()
    after = status()
    assert sum(after["requests"].values()) > sum(before["requests"].values()) + 5
    assert after["cache_hit_share"] > max(0.8, before["cache_hit_share"])


def test_a_cancel_frees_the_engine_within_a_step(editor: Editor) -> None:
    """Cancels in each stage of a request: before it runs, in its prefill, while it is decoded."""
    editor.configure({"codegeex": {"completion": {"maxNewTokens": 1024, "maxLines": 0}}})
    before = status()["cancel"]["count"]
    for milliseconds in (0, 10, 20, 40, 80):
        file = editor.file(CODE.replace("count", f"count_{milliseconds}"))
        id = file.request(invoked=True)
        time.sleep(milliseconds / 1000)
        editor.cancel(id)
        editor.wait(id)
        assert file.ask()
    cancel = status()["cancel"]
    assert cancel["count"] > before
    assert cancel["steps_after"] <= 1


def test_a_killed_runtime_costs_one_answer(windows: tuple[Editor, Editor]) -> None:
    pid = status()["pid"]
    file = windows[0].file(CODE)
    os.kill(pid, signal.SIGSTOP)
    id = file.request()
    os.kill(pid, signal.SIGKILL)
    assert file.answer(id) == []
    assert file.reason() == "runtime_lost"
    for window in windows:
        window.ready()
        again = window.file(CODE)
        again.ask()
        # The other copies of this text, which end here, may leave the model with nothing to add.
        assert again.reason() in (None, "nothing_generated")
        assert window.told() == []
    assert status()["pid"] != pid


def test_nothing_is_left_when_all_windows_are_closed(
    windows: tuple[Editor, Editor], runtime_folder: Path
) -> None:
    one, other = windows
    pid = status()["pid"]
    assert one.shutdown() == 0
    other.file(CODE).ask()
    assert status()["pid"] == pid
    other.close_stdin()
    other.wait_exit()
    wait_until(lambda: not runtimes(runtime_folder))
    assert {path.suffix for path in runtime_folder.iterdir()} == {".lock", ".log"}
    assert command("status").returncode == 1


def test_no_log_holds_user_text(runtime_folder: Path) -> None:
    """Neither the servers' nor the runtime's, after all of the above."""
    logs = [*runtime_folder.glob("*.log")]
    assert len(logs) == 2
    assert not [path for path in logs if SECRET in path.read_text("utf-8")]
