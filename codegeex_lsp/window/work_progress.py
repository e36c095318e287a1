"""The progress of one action in the editor, with a cancel that reaches the work.

A client may bring a token; one that doesn't is asked to make room for ours, and the work doesn't
wait for its answer. Speaks LSP; knows nothing of what is worked on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future

from lsprotocol import types

from codegeex_lsp.lsp.errors import ClientRefusedError
from codegeex_lsp.lsp.server import HardenedServer

Tell = Callable[[str, int | None], None]

_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def shown(
    server: HardenedServer, title: str, token: int | str | None, cancel: Callable[[], object]
) -> AsyncIterator[Tell]:
    """Show progress while the block runs. What it yields takes a message and a percentage; `cancel`
    is called when the user has had enough."""
    progress = server.work_done_progress
    begun: list[int | str] = []

    def begin(name: int | str) -> None:
        start = types.WorkDoneProgressBegin(title, cancellable=True, percentage=0)
        progress.begin(name, start)
        progress.tokens[name].add_done_callback(_if_cancelled(cancel))
        begun.append(name)

    async def create() -> None:
        name = f"codegeex-action-{next(_numbers)}"
        with contextlib.suppress(ClientRefusedError):
            await progress.create_async(name)
            begin(name)

    def tell(message: str, percentage: int | None) -> None:
        for name in begun:
            said = types.WorkDoneProgressReport(
                cancellable=True, message=message, percentage=percentage
            )
            progress.report(name, said)

    creating: asyncio.Task[None] | None = None
    window = server.client_capabilities.window
    if token is not None:
        begin(token)
    elif window and window.work_done_progress:
        creating = asyncio.create_task(create())
    try:
        yield tell
    finally:
        if creating is not None:
            creating.cancel()
        for name in begun:
            progress.end(name, types.WorkDoneProgressEnd())


def _if_cancelled(cancel: Callable[[], object]) -> Callable[[Future[None]], None]:
    def ended(token: Future[None]) -> None:
        if token.cancelled():
            cancel()

    return ended
