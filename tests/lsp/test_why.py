"""Every empty answer has a reason, told by codegeex/why, and every state of the model is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from editor import INLINE, Editor, File
from fake_runtime import DEVICE, MODEL, FakeRuntime, candidates
from wire import ROOT, Json

from model_runtime.wire.protocol import Failure, Loading, ModelState, Reason

Editors = Callable[..., Editor]

DEFAULTS: Json = {
    "enabled": True,
    "completion": {
        "automatic": True,
        "disabledLanguages": [],
        "maxFileSize": 4194304,
        "minimumConfidence": None,
    },
}


def assert_empty(file: File, reason: str, *words: str, invoked: bool = False) -> None:
    assert file.ask(invoked=invoked) == []
    why = file.why()
    assert why["reason"] == reason
    assert why["message"].endswith(".")
    for word in words:
        assert word in why["message"]


# --- refused before the model is asked ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("y = ‸", {"enabled": False}, "disabled"),
        ("y = ‸", {"completion": {"automatic": False}}, "disabled"),
        ("y = ‸", {"completion": {"disabledLanguages": ["Python"]}}, "language_disabled"),
        ("y = ‸" + "\n" * 1024, {"completion": {"maxFileSize": 1024}}, "file_too_large"),
        ("y\0 = ‸", {}, "binary"),
        ("y = old‸_name", {}, "middle_of_word"),
        ("  \n‸\n", {}, "blank"),
    ],
    ids=str,
)
def test_refused(
    lasting_fake: FakeRuntime, lasting_editor: Editor, text: str, settings: Json, reason: str
) -> None:
    asked = len(lasting_fake.requests)
    lasting_editor.configure({"codegeex": settings})
    assert_empty(lasting_editor.file(text), reason)
    lasting_editor.configure({"codegeex": DEFAULTS})
    assert lasting_editor.file("y = ‸").ask()
    assert len(lasting_fake.requests) == asked + 1


def test_invoked_by_hand_is_refused_less(lasting_editor: Editor) -> None:
    lasting_editor.configure({"codegeex": {"completion": {"automatic": False}}})
    assert lasting_editor.file("y = ‸").ask(invoked=True)
    assert lasting_editor.file("y = old‸_name").ask(invoked=True)
    lasting_editor.configure({"codegeex": DEFAULTS})


def test_not_open(lasting_editor: Editor) -> None:
    assert_empty(File(lasting_editor, "file:///project/never_opened", "y = ", ""), "not_open")


def test_nothing_asked_yet(lasting_editor: Editor) -> None:
    file = lasting_editor.file("y = ‸")
    assert file.reason() is None
    file.ask()
    why = file.why()
    assert why.pop("elapsedMs") >= 0
    assert why == {
        "reason": None,
        "message": "1 suggestion shown.",
        "sources": ["model"],
        "origin": "model",
    }


# --- answered with nothing ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "settings", "made", "reason"),
    [
        ("y = ‸", {}, Failure(0, Reason.BUSY, "Try again in a moment."), "busy"),
        ("y = ‸", {}, Failure(0, Reason.SUPERSEDED), "superseded"),
        ("y = ‸", {}, Failure(0, Reason.DEADLINE), "deadline"),
        ("y = ‸", {}, Failure(0, Reason.NOTHING_GENERATED), "nothing_generated"),
        ("y = ‸", {}, Failure(0, Reason.OUT_OF_MEMORY), "out_of_memory"),
        ("y = ‸", {}, Failure(0, "a reason of tomorrow"), "engine_error"),
        ("y = ‸", {}, candidates("  \n  "), "blank"),
        ("y = 1\n‸\nz = 2\n", {}, candidates("z = 2"), "repeats_suffix"),
        ("y = ‸", {}, candidates("foo bar " * 20), "repeats_itself"),
        ("y = ‸", {"minimumConfidence": 0.5}, candidates("x", logprob=-3.0), "low_confidence"),
    ],
    ids=lambda value: getattr(value, "reason", None) or str(value),
)
def test_answered_with_nothing(
    lasting_fake: FakeRuntime,
    lasting_editor: Editor,
    text: str,
    settings: Json,
    made: Any,
    reason: str,
) -> None:
    lasting_editor.configure({"codegeex": {"completion": settings}})
    lasting_fake.answer = lambda request: made
    message = made.message if isinstance(made, Failure) else ""
    assert_empty(lasting_editor.file(text), reason, message)
    lasting_fake.answer = lambda request: candidates("answer()")
    lasting_editor.configure({"codegeex": DEFAULTS})


# --- the model's states -------------------------------------------------------------------------


def test_loading_is_shown_as_progress(fake: FakeRuntime, editors: Editors) -> None:
    fake.state = ModelState(Loading.LOADING, "Reading the weights.")
    editor = editors()
    editor.begin(INLINE | {"window": {"workDoneProgress": True}})
    loading = {"phase": "loading", "message": "Reading the weights.", "model": "fake"}
    assert editor.wait_notification("codegeex/status", lambda it: it == loading)
    token = editor.wait_notification("window/workDoneProgress/create")["token"]
    begin = editor.wait_notification("$/progress")
    assert begin["token"] == token
    assert (begin["value"]["kind"], begin["value"]["title"]) == ("begin", "CodeGeeX: loading fake")
    file = editor.file("y = ‸")
    assert_empty(file, "loading", "Reading the weights.")
    fake.push(ModelState(Loading.READY))
    editor.ready()
    assert editor.wait_notification("$/progress") == {"token": token, "value": {"kind": "end"}}
    assert file.texts() == ["answer()"]
    assert editor.told() == []


def test_no_progress_for_a_client_without(fake: FakeRuntime, editors: Editors) -> None:
    fake.state = ModelState(Loading.LOADING)
    editor = editors()
    editor.begin()
    editor.phase("loading")
    assert_empty(editor.file("y = ‸"), "loading")
    methods = {message.get("method") for message in editor.messages}
    assert not methods & {"window/workDoneProgress/create", "$/progress"}


def test_no_progress_for_a_client_that_refuses(fake: FakeRuntime, editors: Editors) -> None:
    fake.state = ModelState(Loading.LOADING)
    editor = editors()
    editor.silent.add("window/workDoneProgress/create")
    editor.begin({"window": {"workDoneProgress": True}})
    asked = editor.wait_for(lambda it: it.get("method") == "window/workDoneProgress/create")
    problem = {"code": -32601, "message": "no"}
    editor.send({"jsonrpc": "2.0", "id": asked["id"], "error": problem})
    fake.push(ModelState(Loading.READY))
    editor.ready()
    assert editor.file("y = ‸").ask()
    assert "$/progress" not in {message.get("method") for message in editor.messages}


@pytest.mark.parametrize("invoked", [False, True])
def test_the_last_question_is_asked_again_when_the_model_is_there(
    fake: FakeRuntime, editors: Editors, invoked: bool
) -> None:
    fake.state = ModelState(Loading.LOADING)
    editor = editors()
    editor.begin(INLINE)
    file, other = editor.file("y = ‸"), editor.file("z = ‸")
    editor.phase("loading")
    assert_empty(file, "loading", invoked=invoked)
    assert not _asks_again(file)
    fake.push(ModelState(Loading.READY))
    editor.ready()
    assert not _asks_again(other)
    assert not _asks_again(file, line=0, character=1)
    assert _asks_again(file) == file.asking(invoked=invoked)["context"]["triggerKind"]
    assert file.ask(invoked=invoked)
    assert not _asks_again(file)


def test_a_question_that_is_not_the_last_text_is_not_asked_again(
    fake: FakeRuntime, editors: Editors
) -> None:
    fake.state = ModelState(Loading.LOADING)
    editor = editors()
    editor.begin(INLINE)
    file = editor.file("y = ‸")
    editor.phase("loading")
    assert_empty(file, "loading")
    fake.push(ModelState(Loading.READY))
    editor.ready()
    file.type("1")
    file.backspace()
    assert not _asks_again(file)


def _asks_again(file: File, **position: int) -> int | None:
    """What codegeex/why says for the caret at the file's own place, or at another."""
    asked = file.place() | ({"position": position} if position else {})
    again: int | None = file.editor.call("codegeex/why", asked).get("askAgain")
    return again


def test_a_failed_load_is_told_once(fake: FakeRuntime, editor: Editor) -> None:
    sentence = "The weights are damaged; get them anew."
    fake.push(ModelState(Loading.FAILED, sentence))
    assert editor.phase("failed")["message"] == sentence
    file = editor.file("y = ‸")
    for _ in range(3):
        assert_empty(file, "load_failed", sentence)
    assert editor.told() == [f"CodeGeeX: {sentence}"]
    fake.push(ModelState(Loading.READY))
    editor.ready()
    assert file.ask()


def test_a_lost_runtime_costs_one_answer(fake: FakeRuntime, editor: Editor) -> None:
    fake.hold()
    file = editor.file("y = ‸")
    id = file.request()
    fake.wait(lambda it: it.running)
    fake.drop_clients()
    assert file.answer(id) == []
    assert file.reason() == "runtime_lost"
    editor.ready()
    fake.release()
    assert file.texts() == ["answer()"]
    assert editor.told() == []


def test_a_real_runtime_that_can_not_load(user: Path, editors: Editors) -> None:
    """No fake is there, so the server starts a real runtime for the model "fake"."""
    editor = editors()
    editor.begin(INLINE | {"window": {"workDoneProgress": True}})
    file = editor.file("y = ‸")
    assert_empty(file, "starting")
    editor.phase("starting")
    sentence = editor.phase("failed")["message"]
    assert "fake" in sentence
    assert file.reason() == "load_failed", "though it was being started when it was asked"
    for _ in range(3):
        assert_empty(file, "load_failed", sentence)
    assert editor.told() == [f"CodeGeeX: {sentence}"]
    end = editor.wait_notification("$/progress", lambda it: it["value"]["kind"] == "end")
    assert end
    stop = [sys.executable, "-m", "model_runtime", "stop", "--model", MODEL, "--device", DEVICE]
    assert editor.shutdown() == 0
    # Most often it is gone by then: without a model it leaves with its last client.
    subprocess.run(stop, check=False, capture_output=True)


def test_a_folder_that_can_not_be_used(user: Path, editors: Editors) -> None:
    file_in_the_way = user / "file"
    file_in_the_way.touch()
    editor = editors(env={"CODEGEEX_RUNTIME_DIR": str(file_in_the_way)})
    editor.begin()
    sentence = editor.phase("failed")["message"]
    assert str(file_in_the_way) in sentence
    file = editor.file("y = ‸")
    for _ in range(3):
        assert_empty(file, "load_failed", sentence)
    assert editor.told() == [f"CodeGeeX: {sentence}"]


def test_a_runtime_that_always_ends_is_not_started_for_ever(user: Path, editors: Editors) -> None:
    ends = "import os, sys\nif 'model_runtime' in sys.orig_argv:\n    os._exit(3)\n"
    (user / "ending").mkdir()
    (user / "ending" / "sitecustomize.py").write_text(ends)
    editor = editors(env={"PYTHONPATH": os.pathsep.join([str(user / "ending"), str(ROOT)])})
    editor.begin()
    file = editor.file("y = ‸")
    while "3 times" not in editor.phase("failed")["message"]:
        assert_empty(file, "load_failed")
    before = len(editor.messages)
    for _ in range(3):
        assert_empty(file, "load_failed", "3 times")
    assert len(editor.messages) == before + 6  # replies only: no status, no message
    assert len(editor.told()) == 2
