"""Settings through the server: from initialize, from didChangeConfiguration, asked for, and bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from editor import INLINE, Editor
from fake_runtime import FakeRuntime

Editors = Callable[..., Editor]

CAN_BE_ASKED = INLINE | {"workspace": {"configuration": True}}


def tokens(fake: FakeRuntime, editor: Editor) -> int:
    """The maxNewTokens that the next request by hand is made with."""
    assert editor.file("y = ‸").ask(invoked=True)
    return fake.requests[-1].max_new_tokens


@pytest.mark.parametrize(
    "options",
    [
        {"codegeex": {"completion": {"maxNewTokens": 5}}},
        {"codegeex.completion.maxNewTokens": 5},
    ],
    ids=str,
)
def test_initialization_options(fake: FakeRuntime, editors: Editors, options: Any) -> None:
    editor = editors()
    editor.begin(options=options)
    editor.ready()
    assert tokens(fake, editor) == 5
    assert editor.told() == []


def test_a_change_holds_from_the_next_request_on(fake: FakeRuntime, editor: Editor) -> None:
    assert tokens(fake, editor) == 64
    editor.configure({"codegeex": {"completion": {"maxNewTokens": 6}}})
    assert tokens(fake, editor) == 6
    editor.configure(None)  # this client can't be asked
    assert tokens(fake, editor) == 6
    editor.configure({"codegeex": {"enabled": True}})  # the other key was removed
    assert tokens(fake, editor) == 64
    assert editor.told() == []


def test_a_client_that_can_be_asked_is_asked(fake: FakeRuntime, editors: Editors) -> None:
    told: list[Any] = [{"completion": {"maxNewTokens": 7}}]
    editor = editors(answers={"workspace/configuration": lambda params: told})
    editor.begin(CAN_BE_ASKED)
    assert editor.wait_notification("workspace/configuration") == {
        "items": [{"section": "codegeex"}]
    }
    editor.ready()
    assert tokens(fake, editor) == 7
    told[0] = {"completion": {"maxNewTokens": 8}}
    editor.configure(None)
    editor.wait_notification("workspace/configuration")
    assert tokens(fake, editor) == 8
    told[0] = None
    editor.configure(None)
    editor.wait_notification("workspace/configuration")
    assert tokens(fake, editor) == 8
    assert editor.told() == []


def test_a_client_that_answers_nonsense_changes_nothing(
    fake: FakeRuntime, editors: Editors
) -> None:
    editor = editors()
    editor.begin(CAN_BE_ASKED)
    editor.ready()
    for answer in ("nonsense", [], {}, 5, [5]):
        editor.wait_notification("workspace/configuration")
        editor.answers["workspace/configuration"] = answer
        editor.configure(None)
    assert tokens(fake, editor) == 64


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"completion": {"maxNewTokens": "many"}}, ["codegeex.completion.maxNewTokens", "64"]),
        ({"completion": {"maxNewTokens": 0}}, ["codegeex.completion.maxNewTokens", "1 to 1024"]),
        ({"completion": {"maxNewTokens": True}}, ["codegeex.completion.maxNewTokens"]),
        ({"completion": 5}, ["codegeex.completion"]),
        ({"completion": {"maxTokens": 5}}, ["codegeex.completion.maxTokens"]),
        ({"model": "/somewhere/else"}, ["model"]),
        ({"device": "cuda"}, ["device"]),
        ({"idleExitS": 5}, ["idle_exit_s"]),
        ("nonsense", ["codegeex"]),
    ],
    ids=str,
)
def test_a_bad_setting_gives_a_sentence(
    lasting_fake: FakeRuntime, lasting_editor: Editor, settings: Any, words: list[str]
) -> None:
    told = len(lasting_editor.told())
    lasting_editor.configure({"codegeex": settings})
    assert tokens(lasting_fake, lasting_editor) == 64
    [sentence] = lasting_editor.told()[told:]
    assert sentence.startswith("CodeGeeX: ")
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence


def test_bad_options_are_told_after_the_handshake(fake: FakeRuntime, editors: Editors) -> None:
    editor = editors()
    editor.begin(options={"model": "other", "completion": {"maxLines": -1, "maxNewTokens": 9}})
    editor.ready()
    assert tokens(fake, editor) == 9
    sentences = " ".join(editor.told())
    assert len(editor.told()) == 2
    assert "maxLines" in sentences
    assert "model" in sentences
    assert editor.messages[0]["id"] == 1  # nothing comes before the answer to initialize


def test_a_bad_configuration_file_gives_a_sentence(
    fake: FakeRuntime, editors: Editors, user: Path
) -> None:
    bad = user / "bad.toml"
    bad.write_text("idle_exit_s = 'soon'\n")
    editor = editors(env={"CODEGEEX_CONFIG": str(bad)})
    editor.begin()
    editor.ready()
    assert editor.file("y = ‸").ask()
    [sentence] = editor.told()
    assert "idle_exit_s" in sentence


@pytest.mark.parametrize(
    ("variable", "bad", "choices"),
    [
        ("CODEGEEX_DEVICE", "gpu", '"auto" or "cpu" or "cuda" or "npu"; "cpu" stays.'),
        ("CODEGEEX_QUANTIZE", "4bit", '"" or "int8" or "int4" or "nf4" or "llm.int8"; "" stays.'),
    ],
)
def test_a_bad_variable_is_told_with_its_choices_and_why_repeats_it(
    fake: FakeRuntime, editors: Editors, user: Path, variable: str, bad: str, choices: str
) -> None:
    (user / "config.toml").write_text("device = 'cpu'\n")
    editor = editors(env={"CODEGEEX_DEVICE": "", variable: bad})
    editor.begin()
    editor.ready()
    file = editor.file("y = ‸")
    assert file.ask()
    sentence = f'The setting "{variable}" must be {choices}'
    assert editor.told() == [f"CodeGeeX: {sentence}"]
    why = file.why()
    assert (why["settings"], why["message"]) == ([sentence], f"1 suggestion shown. {sentence}")
