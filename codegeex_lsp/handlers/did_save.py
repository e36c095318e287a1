"""textDocument/didSave: the index looks at the file, for clients that don't watch files for us."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.window.session import Session


def handle(session: Session, params: types.DidSaveTextDocumentParams) -> None:
    session.written([params.text_document.uri])
