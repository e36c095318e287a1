"""initialized: the client listens now, so start the model, fetch settings, say what is wrong."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.handlers import did_change_configuration
from codegeex_lsp.session import Session


async def handle(session: Session, params: types.InitializedParams) -> None:
    session.runtime.ensure()
    await did_change_configuration.pull(session)
