"""codegeex/why: what was answered last for a document and, when nothing was, for what reason."""

from __future__ import annotations

from typing import Any

import attrs
from lsprotocol import types

from codegeex_lsp.completer import Answer
from codegeex_lsp.completion.reasons import Explained
from codegeex_lsp.session import Session
from model_runtime.protocol import Reason

METHOD = "codegeex/why"


@attrs.frozen
class WhyParams:
    text_document: types.TextDocumentIdentifier


def handle(session: Session, params: WhyParams) -> dict[str, Any]:
    """`reason` is null when something was shown, or nothing was asked for yet."""
    if session.server.snapshot_for(params) is None:
        return _told(Reason.NOT_OPEN, "")
    answer = session.completer.last_answer(params.text_document.uri)
    if answer is None:
        return {"reason": None, "message": "No suggestion was asked for in this file yet."}
    return _timed(answer)


def _timed(answer: Answer) -> dict[str, Any]:
    times = {"origin": answer.origin, "elapsedMs": answer.elapsed_ms}
    if answer.reason is not None:
        return _told(answer.reason, answer.detail) | times
    sources = [suggestion.source for suggestion in answer.suggestions]
    count = len(sources)
    message = f"{count} suggestion{'s' if count > 1 else ''} shown."
    return {"reason": None, "message": message, "sources": sources} | times


def _told(reason: Reason, detail: str) -> dict[str, Any]:
    return {"reason": reason.value, "message": str(Explained(reason, detail))}
