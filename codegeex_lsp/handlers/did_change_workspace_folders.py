"""workspace/didChangeWorkspaceFolders: the workspace has folders more, or fewer."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from lsprotocol import types

from codegeex_lsp.handlers import did_change_watched_files
from codegeex_lsp.text import file_uris
from codegeex_lsp.window.session import Session


def handle(
    session: Session, params: types.DidChangeWorkspaceFoldersParams
) -> Coroutine[Any, Any, None]:
    """They hold at once: the next message may already ask about them."""
    added, removed = _paths(params.event.added), _paths(params.event.removed)
    session.move(session.retrieval.folders.changed(added, removed))
    return did_change_watched_files.watch(session)


def _paths(folders: Sequence[types.WorkspaceFolder]) -> list[str]:
    """Those on a disk."""
    return [path for folder in folders if (path := file_uris.to_path(folder.uri))]
