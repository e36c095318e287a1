"""codegeex/explain: comments between the lines of the selection, or a document about it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs

from codegeex_lsp.actions import explain, passage
from codegeex_lsp.actions.explain import Style
from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/explain"


@attrs.frozen(kw_only=True)
class ExplainParams(ActionParams):
    style: str = Style.COMMENTS.value


def handle(session: Session, params: ExplainParams) -> Awaitable[dict[str, Any]]:
    snapshot, language = errand.place(session, params)
    known = errand.known(language)
    try:
        style = Style(params.style)
    except ValueError:
        choices = ", ".join(Style)
        raise InvalidParamsError(f"The style must be one of: {choices}.") from None
    span = convert.span(params.range, snapshot, session.server.encoding)
    about = passage.of_selection(snapshot, *span)
    return errand.run(
        session,
        Errand(
            "explaining code",
            Task.EXPLAIN,
            snapshot,
            known,
            lambda limit: explain.plan(about, known, style, limit),
        ),
        params,
    )
