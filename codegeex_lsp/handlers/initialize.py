"""initialize: read the settings the client sent along and decide what to offer it."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.handlers import did_change_configuration
from codegeex_lsp.session import Session


def handle(session: Session, params: types.InitializeParams) -> None:
    if params.initialization_options is not None:
        did_change_configuration.apply(session, params.initialization_options)
        session.initial_settings = session.settings
    text = params.capabilities.text_document
    if text is not None and text.inline_completion is not None:
        # Ghost text and a menu entry with the same words would be one too many. pygls offers the
        # features it knows of when this handler has returned.
        session.server.protocol.fm.features.pop(types.TEXT_DOCUMENT_COMPLETION, None)
