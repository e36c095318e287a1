"""codegeex/generate: code from the comment or docstring at the cursor, or from an instruction."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs

from codegeex_lsp.actions import generate
from codegeex_lsp.lsp import convert
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/generate"


@attrs.frozen(kw_only=True)
class GenerateParams(ActionParams):
    instruction: str = ""


def handle(session: Session, params: GenerateParams) -> Awaitable[dict[str, Any]]:
    snapshot, language = errand.place(session, params)
    start, end = convert.span(params.range, snapshot, session.server.encoding)
    known = errand.known(language)
    instruction = params.instruction.strip()
    return errand.run(
        session,
        Errand(
            "generating code",
            Task.GENERATE,
            snapshot,
            known,
            lambda limit: generate.plan(snapshot, start, end, known, instruction),
            lambda: session.retrieval.snippets.asked(snapshot, end, instruction),
        ),
        params,
    )
