"""codegeex/candidates: different completions for a panel, streamed as they are found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import attrs
from lsprotocol import types

from codegeex_lsp.actions.plan import Refusal
from codegeex_lsp.completion import candidates
from codegeex_lsp.completion import context as contexts
from codegeex_lsp.completion.suggestion import Suggestion
from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import RequestFailedError
from codegeex_lsp.runtime.client import Unanswered
from codegeex_lsp.runtime.reasons import sentence
from codegeex_lsp.text import languages
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.window import errand, work_progress
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/candidates"
USUAL_COUNT = 5


@attrs.frozen(kw_only=True)
class CandidatesParams:
    text_document: types.TextDocumentIdentifier
    position: types.Position
    count: int = USUAL_COUNT
    work_done_token: int | str | None = None
    partial_result_token: int | str | None = None


def handle(session: Session, params: CandidatesParams) -> Awaitable[dict[str, Any]]:
    snapshot = errand.opened(session, params.text_document.uri)
    position = convert.position(params.position, snapshot, session.server.encoding)
    refusal = contexts.refusal(snapshot, position, session.settings, invoked=True)
    if refusal is not None:
        raise RequestFailedError(sentence(refusal))
    return errand.watched(session, snapshot.uri, lambda: _work(session, params, snapshot, position))


async def _work(
    session: Session, params: CandidatesParams, snapshot: Snapshot, position: Position
) -> dict[str, Any]:
    this: Any = asyncio.current_task()

    def show(found: list[Suggestion]) -> None:
        tell(f"{len(found)} more", None)
        if params.partial_result_token is not None:
            value = _items(session, found, snapshot, position)
            progress = types.ProgressParams(params.partial_result_token, value)
            session.server.protocol.notify(types.PROGRESS, progress)

    title = "CodeGeeX: looking for completions"
    try:
        async with work_progress.shown(
            session.server, title, params.work_done_token, this.cancel
        ) as tell:
            await session.performer.ready_for(Task.COMPLETE)
            whole, place = session.with_cells_above(snapshot, position)
            welcome = session.runtime.welcome
            language = languages.of(whole.language_id, snapshot.uri)
            found = await candidates.gather(
                session.runtime,
                contexts.cut(whole, place, welcome.context_chars if welcome else 0, language),
                session.retrieval.names(snapshot.uri)[1],
                min(max(1, params.count), candidates.MOST),
                session.settings.completion,
                show,
            )
    except Refusal as refusal:
        raise RequestFailedError(str(refusal)) from None
    except Unanswered as silence:
        raise RequestFailedError(silence.detail or sentence(silence.reason)) from None
    return _items(session, found, snapshot, position)


def _items(
    session: Session, found: list[Suggestion], snapshot: Snapshot, position: Position
) -> dict[str, Any]:
    area = convert.wire_range(position, position, snapshot, session.server.encoding)
    return {
        "items": [
            {
                "text": one.text,
                "range": area,
                "source": one.source,
                "meanLogprob": one.mean_logprob,
            }
            for one in found
        ]
    }
