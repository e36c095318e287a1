"""initialize: read the settings the client sent along and decide what to offer it."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.files.folders import Folders
from codegeex_lsp.handlers import did_change_configuration
from codegeex_lsp.text import file_uris
from codegeex_lsp.window.session import Session


def handle(session: Session, params: types.InitializeParams) -> None:
    if params.initialization_options is not None:
        did_change_configuration.apply(session, params.initialization_options)
        session.initial_settings = session.settings
    session.retrieval.move(Folders(_paths(params)))
    text = params.capabilities.text_document
    if text is not None and text.inline_completion is not None:
        # Ghost text and a menu entry with the same words would be one too many. pygls offers the
        # features it knows of when this handler has returned.
        session.server.protocol.fm.features.pop(types.TEXT_DOCUMENT_COMPLETION, None)


def _paths(params: types.InitializeParams) -> list[str]:
    """Of the workspace's folders; older clients name one only."""
    folders = [folder.uri for folder in params.workspace_folders or ()]
    if not folders and params.root_uri:
        folders = [params.root_uri]
    return [path for uri in folders if (path := file_uris.to_path(uri))]
