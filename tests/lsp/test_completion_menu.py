"""textDocument/completion: for clients that can't show ghost text, and only for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from editor import INLINE, Editor
from fake_runtime import FakeRuntime, candidates
from wire import Json, WireError

METHOD = "textDocument/completion"
MENU_ONLY: Json = {"textDocument": {"completion": {}}}


@pytest.mark.parametrize(
    ("capabilities", "offered"), [(INLINE, False), (MENU_ONLY, True), ({}, True)], ids=str
)
def test_it_is_offered_to_clients_without_ghost_text(
    fake: FakeRuntime, editors: Callable[..., Editor], capabilities: Json, offered: bool
) -> None:
    server = editors().initialize(capabilities)["capabilities"]
    assert ("completionProvider" in server) is offered
    assert server["inlineCompletionProvider"] is not None


def test_a_suggestion_is_an_entry(fake: FakeRuntime, editors: Callable[..., Editor]) -> None:
    fake.answer = lambda request: candidates("count(values)")
    editor = editors()
    editor.begin(MENU_ONLY)
    editor.ready()
    file = editor.file('s = "😀"; total = ac‸\n')
    entries = editor.call(METHOD, file.place())
    assert entries["isIncomplete"] is True
    [entry] = entries["items"]
    cursor = {"line": 0, "character": 20}
    assert entry["textEdit"] == {
        "range": {"start": cursor, "end": cursor},
        "newText": "count(values)",
    }
    assert entry["label"] == "count(values)"
    assert entry["filterText"] == "account(values)"
    assert fake.requests[0].candidates == 1


def test_the_menu_and_why_agree(fake: FakeRuntime, editors: Callable[..., Editor]) -> None:
    editor = editors()
    editor.begin(MENU_ONLY)
    editor.ready()
    file = editor.file("")
    assert editor.call(METHOD, file.place())["items"] == []
    assert file.reason() == "blank"
    file.close()
    assert editor.call(METHOD, file.place())["items"] == []
    assert file.reason() == "not_open"


def test_a_client_with_ghost_text_gets_no_menu(lasting_editor: Editor) -> None:
    file = lasting_editor.file("y = ‸")
    with pytest.raises(WireError, match="-32601"):
        lasting_editor.call(METHOD, file.place())
