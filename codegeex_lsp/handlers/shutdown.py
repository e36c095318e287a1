"""shutdown: hang up on the runtime, which cancels whatever this window still asked for."""

from __future__ import annotations

from codegeex_lsp.session import Session


async def handle(session: Session, params: None) -> None:
    session.delivery.close()
    await session.runtime.close()
