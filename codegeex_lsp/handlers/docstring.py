"""codegeex/docstring: a docstring or comment for the definition at the selection."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from codegeex_lsp.actions import docstring, passage
from codegeex_lsp.lsp import convert
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/docstring"


def handle(session: Session, params: ActionParams) -> Awaitable[dict[str, Any]]:
    snapshot, language = errand.place(session, params)
    known = errand.known(language)
    start, end = convert.span(params.range, snapshot, session.server.encoding)
    about = passage.of_selection(snapshot, start, end)
    return errand.run(
        session,
        Errand(
            "writing a docstring",
            Task.DOCSTRING,
            snapshot,
            known,
            lambda limit: docstring.plan(about, known, limit),
        ),
        params,
    )
