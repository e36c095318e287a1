"""shutdown: end the index; hang up on the runtime, which cancels what this window asked for."""

from __future__ import annotations

from codegeex_lsp.window.session import Session


async def handle(session: Session, params: None) -> None:
    session.delivery.close()
    await session.retrieval.close()
    await session.runtime.close()
