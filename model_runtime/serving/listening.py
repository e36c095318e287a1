"""The socket that the clients come to. Knows a path and who is to be told; the daemon opens it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from model_runtime.wire import endpoint
from model_runtime.wire.endpoint import Meeting

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def listen(meeting: Meeting, accept: Accept) -> tuple[asyncio.Server, str]:
    """A Unix socket where there are any and its path fits, else loopback TCP; and its address."""
    path = meeting.socket
    if hasattr(asyncio, "start_unix_server") and (
        len(os.fsencode(path)) <= endpoint.MAX_SOCKET_PATH
    ):
        path.unlink(missing_ok=True)  # a killed runtime's; whoever listens holds the lock
        server = await asyncio.start_unix_server(accept, path)
        path.chmod(0o600)
        return server, f"unix:{path}"
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    return server, f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
