"""codegeex/why: what was answered last for a document and, when nothing was, for what reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import attrs
from lsprotocol import types

from codegeex_lsp.completion.completer import Answer
from codegeex_lsp.lsp import convert
from codegeex_lsp.runtime.client import Phase
from codegeex_lsp.runtime.reasons import Explained
from codegeex_lsp.text.documents import Snapshot
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Reason

METHOD = "codegeex/why"


@attrs.frozen
class WhyParams:
    """`position` is the caret, for an editor that would ask again."""

    text_document: types.TextDocumentIdentifier
    position: types.Position | None = None


def handle(session: Session, params: WhyParams) -> dict[str, Any]:
    """`reason` is null when something was shown, or nothing was asked for yet.

    `askAgain` is there when the model was missing then and is here now, and neither text nor caret
    moved: it is the trigger kind to ask with. `settings` are the sentences about the user's own
    configuration, which the message ends with.
    """
    snapshot = session.server.snapshot_for(params)
    if snapshot is None:
        return _told(Reason.NOT_OPEN, "")
    answer = session.completer.last_answer(params.text_document.uri)
    if answer is None:
        told: dict[str, Any] = {
            "reason": None,
            "message": "No suggestion was asked for in this file yet.",
        }
    else:
        told = _timed(_of_now(answer, session)) | _again(session, snapshot, params.position)
    if settings := session.own_complaints:
        told |= {"settings": settings, "message": " ".join([told["message"], *settings])}
    return told


def _of_now(answer: Answer, session: Session) -> Answer:
    """One that was waited with is old news once the model turned out to be missing."""
    state = session.runtime.state
    if state.phase is Phase.FAILED and answer.reason in (Reason.STARTING, Reason.LOADING):
        return replace(answer, reason=Reason.LOAD_FAILED, detail=state.message)
    return answer


def _again(session: Session, snapshot: Snapshot, caret: types.Position | None) -> dict[str, Any]:
    asked = session.postponed
    if asked is None or caret is None or session.runtime.state.phase is not Phase.READY:
        return {}
    position = convert.position(caret, snapshot, session.server.encoding)
    still = asked.is_at(snapshot.uri, snapshot.version, position)
    return {"askAgain": asked.trigger_kind} if still else {}


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
