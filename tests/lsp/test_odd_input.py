"""Documents, places and parameters that nobody expects: one reply each, and the server goes on."""

from __future__ import annotations

import pytest
from editor import Editor, File
from fake_runtime import FakeRuntime, candidates
from wire import Json

END = {"line": 0, "character": 4}


def assert_survives(editor: Editor, file: File, *, answered: bool = True) -> None:
    """One reply, automatic and invoked, and a server that goes on."""
    for invoked in (False, True):
        id = file.request(invoked=invoked)
        items = file.answer(id)
        assert answered or not items
        assert items or file.reason()
        assert len(editor.replies(id)) == 1
    assert editor.file("y = ‸").texts()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "python"),
        ("\0\x01\x02‸", "python"),
        ("import os\n\x0c\ndef f():\n    return ‸", "python"),
        ('a = "\u2028"\nb = ‸', "python"),
        ('a = "\ud83d"\nb = "\ude00‸"', "python"),
        ("a = 1\rb = ‸\r", "python"),
        ("print('<|endoftext|>')\nx = ‸", "python"),
        ("some text ‸", "no-such-language"),
        ("x = ‸", ""),
        ("x" * 100_000 + " = ‸", "python"),
        ("\n" * 100_000 + "x = ‸", "python"),
    ],
    ids=str,
)
def test_odd_texts(lasting_editor: Editor, text: str, language: str) -> None:
    assert_survives(lasting_editor, lasting_editor.file(text, language))


def test_text_goes_to_the_runtime_as_it_is_but_for_half_an_emoji(
    lasting_fake: FakeRuntime, lasting_editor: Editor
) -> None:
    text = 'a = "\ud83d\x0c\u2028<|endoftext|>漢"\nb = '
    lasting_editor.file(text).ask()
    assert lasting_fake.requests[-1].prefix == text.replace("\ud83d", "\ufffd")


def test_ten_megabytes(lasting_editor: Editor) -> None:
    file = lasting_editor.file("x = 1\n" * 1_700_000 + "y = ‸")
    assert_survives(lasting_editor, file, answered=False)
    assert file.reason() == "file_too_large"
    file.close()


@pytest.mark.parametrize("place", [(999, 0), (0, 999), (2**31 - 1, 2**31 - 1)], ids=str)
def test_a_place_outside_the_text_means_its_nearest(
    lasting_editor: Editor, place: tuple[int, int]
) -> None:
    file = lasting_editor.file("y = ‸")
    line, character = place
    asking = file.asking() | {"position": {"line": line, "character": character}}
    result = lasting_editor.call("textDocument/inlineCompletion", asking)
    assert result["items"] == [{"insertText": "answer()", "range": {"start": END, "end": END}}]


@pytest.mark.parametrize(
    "fields",
    [{"position": None}, {"position": {"line": -1, "character": 0}}, {"textDocument": {}}],
    ids=str,
)
def test_bad_parameters_are_refused(lasting_editor: Editor, fields: Json) -> None:
    file = lasting_editor.file("y = ‸")
    id = lasting_editor.request("textDocument/inlineCompletion", file.asking() | fields)
    error = lasting_editor.wait(id)["error"]
    assert error["code"] == -32602
    assert "textDocument/inlineCompletion" in error["message"]
    assert file.ask()


def test_suggestions_that_are_broken_text(
    lasting_fake: FakeRuntime, lasting_editor: Editor
) -> None:
    lasting_fake.answer = lambda request: candidates("ok\ud83d\0\u202e")
    assert lasting_editor.file("y = ‸").texts() == ["ok"]
    lasting_fake.answer = lambda request: candidates("answer()")
