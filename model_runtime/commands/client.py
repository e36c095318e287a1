"""One question to a runtime that is running, for the command line.

It starts none and keeps no connection; the language server has a client of its own. __main__.py
calls it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from model_runtime import __version__
from model_runtime.wire import endpoint, protocol
from model_runtime.wire.endpoint import Meeting
from model_runtime.wire.protocol import (
    PROTOCOL_VERSION,
    Failure,
    Hello,
    Message,
    ProtocolError,
    StatusQuery,
    StatusReport,
    Stop,
)

ANSWER_DEADLINE_S = 10.0


class NoRuntimeError(Exception):
    """Nothing answers there; str() is one sentence."""


def status(meeting: Meeting) -> StatusReport:
    """The runtime's report. Raises NoRuntimeError."""
    return asyncio.run(_status(meeting))


def stop(meeting: Meeting) -> None:
    """Ask the runtime to end and wait until it has hung up. Raises NoRuntimeError."""
    asyncio.run(_stop(meeting))


async def _status(meeting: Meeting) -> StatusReport:
    async with _link(meeting) as (messages, writer):
        writer.write(protocol.encode(StatusQuery(1)))
        async for message in messages:
            if isinstance(message, StatusReport):
                return message
    raise NoRuntimeError("The runtime ended while it was asked.")


async def _stop(meeting: Meeting) -> None:
    async with _link(meeting) as (messages, writer):
        writer.write(protocol.encode(Stop()))
        async for _ in messages:
            pass


@asynccontextmanager
async def _link(
    meeting: Meeting,
) -> AsyncIterator[tuple[AsyncIterator[Message], asyncio.StreamWriter]]:
    """A greeted connection; everything on it has ANSWER_DEADLINE_S together."""
    place = endpoint.read_endpoint(meeting.endpoint)
    if place is None:
        raise NoRuntimeError("No runtime is running for this model and device.")
    try:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            reader, writer = await endpoint.connect(place)
            hello = Hello(PROTOCOL_VERSION, __version__, place.token, "codegeex-runtime")
            writer.write(protocol.encode(hello))
            try:
                yield _messages(reader), writer
            finally:
                writer.close()
    except (ConnectionError, FileNotFoundError):
        raise NoRuntimeError("No runtime is running; the last one didn't end properly.") from None
    except (TimeoutError, ProtocolError, OSError):
        raise NoRuntimeError("The runtime is there but doesn't answer; end its process.") from None


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    decoder = protocol.Decoder()
    while data := await reader.read(65536):
        for message in decoder.feed(data):
            if isinstance(message, Failure):
                raise NoRuntimeError(message.message)
            yield message
