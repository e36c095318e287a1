"""codegeex/template: a prompt of the user's own, filled with the selection and continued."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from typing import Any

import attrs

from codegeex_lsp.actions import passage, template, templates
from codegeex_lsp.actions.plan import Refusal
from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import RequestFailedError
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/template"


@attrs.frozen(kw_only=True)
class TemplateParams(ActionParams):
    name: str


def handle(session: Session, params: TemplateParams) -> Awaitable[dict[str, Any]]:
    snapshot, language = errand.place(session, params)
    span = convert.span(params.range, snapshot, session.server.encoding)
    about = passage.of_selection(snapshot, *span)
    folder = templates.folder(session.runtime.trusted, os.environ)
    try:
        chosen = templates.read(folder, params.name)
    except Refusal as refusal:
        raise RequestFailedError(str(refusal)) from None
    return errand.run(
        session,
        Errand(
            f"continuing {chosen.name}",
            Task.TEMPLATE,
            snapshot,
            language,
            lambda limit: template.plan(about, chosen, limit),
        ),
        params,
    )
