"""textDocument/codeAction: what can be done here, listed without asking the model.

An action is a command where the client can be sent edits. One that can't, but resolves actions,
gets the edit as its action is resolved.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from lsprotocol import types

from codegeex_lsp.actions import menu, templates
from codegeex_lsp.actions.menu import Offer
from codegeex_lsp.lsp import convert
from codegeex_lsp.text import languages
from codegeex_lsp.window.session import Session

OPTIONS = types.CodeActionOptions(
    code_action_kinds=[menu.REWRITE, menu.SOURCE], resolve_provider=True
)


def handle(
    session: Session, params: types.CodeActionParams
) -> Sequence[types.CodeAction | types.Command]:
    snapshot = session.server.snapshot_for(params)
    settings = session.settings
    if snapshot is None or not settings.enabled:
        return []
    if snapshot.size > settings.completion.max_file_size:
        return []
    start, end = convert.span(params.range, snapshot, session.server.encoding)
    offers = menu.offers(
        snapshot,
        start,
        end,
        languages.of(snapshot.language_id, snapshot.uri),
        settings.actions.target_languages,
        templates.names(templates.folder(session.runtime.trusted, os.environ)),
    )
    only = params.context.only
    wanted = [offer for offer in offers if menu.wanted(offer.kind, only)]
    actions = [_action(session, offer, params) for offer in wanted]
    return [action for action in actions if action is not None]


def _action(
    session: Session, offer: Offer, params: types.CodeActionParams
) -> types.CodeAction | types.Command | None:
    """None for what the model can't, unless the client can show it as disabled."""
    text = session.server.client_capabilities.text_document
    able = text.code_action if text else None
    arguments = {
        "textDocument": params.text_document,
        "range": params.range,
        **offer.arguments,
    }
    command = types.Command(offer.title, offer.command, arguments=[arguments])
    refusal = session.performer.refusal(offer.task)
    if able is None or able.code_action_literal_support is None:
        return None if refusal else command
    if refusal:
        disabled = types.CodeActionDisabled(refusal)
        shown = types.CodeAction(offer.title, offer.kind, disabled=disabled)
        return shown if able.disabled_support else None
    action = types.CodeAction(offer.title, offer.kind)
    workspace = session.server.client_capabilities.workspace
    resolves = able.resolve_support is not None and "edit" in able.resolve_support.properties
    if resolves and able.data_support and not (workspace and workspace.apply_edit):
        action.data = {"command": offer.command, "arguments": arguments}
    else:
        action.command = command
    return action
