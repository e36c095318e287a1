"""initialized: the client listens now, so start the model, fetch settings, watch files."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.handlers import did_change_configuration, did_change_watched_files
from codegeex_lsp.window.session import Session


async def handle(session: Session, params: types.InitializedParams) -> None:
    session.runtime.ensure()
    await did_change_configuration.pull(session)
    await did_change_watched_files.watch(session)
