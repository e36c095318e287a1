"""What came to the index and was not looked at yet."""

from __future__ import annotations

import io
import json

from codegeex_lsp.index.service import Inbox


def filled(*messages: dict[str, object], inbox: Inbox | None = None) -> Inbox:
    made = inbox or Inbox()
    made.fill(io.BytesIO(b"".join(json.dumps(message).encode() + b"\n" for message in messages)))
    made.ended = False
    return made


def test_a_cancel_that_comes_late_leaves_nothing() -> None:
    """Most do: a keystroke cancels what was answered a moment before."""
    question = {"do": "search", "id": 1}
    inbox = filled(question, {"do": "cancel", "id": 1})
    assert inbox.is_cancelled(1)
    inbox.answered(1)
    assert not inbox.is_cancelled(1)
    filled({"do": "cancel", "id": 1}, {"do": "cancel", "id": 7}, inbox=inbox)
    assert not inbox.is_cancelled(1)
    assert not inbox.is_cancelled(7)
