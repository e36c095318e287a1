"""workspace/didChangeWatchedFiles: files that others wrote, moved or deleted go to the index."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.exclusion.names import IGNORE_FILES
from codegeex_lsp.lsp.errors import ClientRefusedError
from codegeex_lsp.text import languages
from codegeex_lsp.window.session import Session


def handle(session: Session, params: types.DidChangeWatchedFilesParams) -> None:
    session.written([change.uri for change in params.changes])


async def watch(session: Session) -> None:
    """Ask the client to tell us, once and where it can be asked. Only what the index may hold, and
    every deletion, since a deleted folder is told of by its own name."""
    workspace = session.server.client_capabilities.workspace
    able = workspace and workspace.did_change_watched_files
    if session.watches or not (able and able.dynamic_registration and session.retrieval.can_start):
        return
    session.watches = True
    endings = sorted({end[1:] for language in languages.LANGUAGES for end in language.suffixes})
    written = types.WatchKind.Create | types.WatchKind.Change
    options = types.DidChangeWatchedFilesRegistrationOptions(
        [
            types.FileSystemWatcher(f"**/*.{{{','.join(endings)}}}", written),
            types.FileSystemWatcher(f"**/{{{','.join(IGNORE_FILES)}}}", written),
            types.FileSystemWatcher("**/*", types.WatchKind.Delete),
        ]
    )
    method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
    wanted = types.RegistrationParams([types.Registration("codegeex-index", method, options)])
    try:
        await session.server.client_register_capability_async(wanted)
    except ClientRefusedError:
        return
