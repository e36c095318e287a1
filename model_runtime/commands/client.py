"""One question to a runtime that is running, for the command line. It starts none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from model_runtime.wire import client
from model_runtime.wire.client import Link, NoRuntimeError
from model_runtime.wire.endpoint import Meeting
from model_runtime.wire.protocol import ProtocolError, StatusQuery, StatusReport, Stop

ANSWER_DEADLINE_S = 10.0


def status(meeting: Meeting) -> StatusReport:
    """The runtime's report. Raises NoRuntimeError."""
    return asyncio.run(_status(meeting))


def stop(meeting: Meeting) -> None:
    """Ask the runtime to end and wait until it has hung up. Raises NoRuntimeError."""
    asyncio.run(_stop(meeting))


async def _status(meeting: Meeting) -> StatusReport:
    async with _linked(meeting) as link:
        link.send(StatusQuery(1))
        async for message in link.messages():
            if isinstance(message, StatusReport):
                return message
    raise NoRuntimeError("The runtime ended while it was asked.")


async def _stop(meeting: Meeting) -> None:
    async with _linked(meeting) as link:
        link.send(Stop())
        async for _ in link.messages():
            pass


@asynccontextmanager
async def _linked(meeting: Meeting) -> AsyncIterator[Link]:
    """Everything on the link has ANSWER_DEADLINE_S together."""
    try:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            link = await client.greet(meeting, "codegeex-runtime")
            try:
                yield link
            finally:
                link.writer.close()
    except (TimeoutError, ProtocolError, OSError):
        raise NoRuntimeError("The runtime is there but doesn't answer; end its process.") from None
