"""codegeex/summarise: what the code at the selection does, in one sentence above it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from codegeex_lsp.actions import passage, summarise
from codegeex_lsp.lsp import convert
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/summarise"


def handle(session: Session, params: ActionParams) -> Awaitable[dict[str, Any]]:
    snapshot, language = errand.place(session, params)
    known = errand.known(language)
    start, end = convert.span(params.range, snapshot, session.server.encoding)
    about = passage.of_selection(snapshot, start, end)
    return errand.run(
        session,
        Errand(
            "summarising code",
            Task.SUMMARISE,
            snapshot,
            known,
            lambda limit: summarise.plan(about, known, limit),
        ),
        params,
    )
