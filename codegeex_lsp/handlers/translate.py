"""codegeex/translate: the selection in another language."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs

from codegeex_lsp.actions import passage, translate
from codegeex_lsp.config.settings import Placement
from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.text import languages
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

METHOD = "codegeex/translate"


@attrs.frozen(kw_only=True)
class TranslateParams(ActionParams):
    """Without a target the first one of the settings is meant, without a placement theirs."""

    target_language: str = ""
    placement: str = ""


def handle(session: Session, params: TranslateParams) -> Awaitable[dict[str, Any]]:
    snapshot, source = errand.place(session, params)
    settings = session.settings.actions
    placement = settings.placement
    if params.placement:
        try:
            placement = Placement(params.placement)
        except ValueError:
            choices = ", ".join(Placement)
            raise InvalidParamsError(f"The placement must be one of: {choices}.") from None
    name = params.target_language or next(iter(settings.target_languages), "")
    target = languages.named(name)
    span = convert.span(params.range, snapshot, session.server.encoding)
    about = passage.of_selection(snapshot, *span)
    title = f"translating to {target.name}" if target else "translating"
    return errand.run(
        session,
        Errand(
            title,
            Task.TRANSLATE,
            snapshot,
            source,
            lambda limit: translate.plan(about, source, target, placement, limit),
        ),
        params,
    )
