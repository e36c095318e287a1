"""A link to the runtime that serves the model, started here when nobody serves it.

A client like any editor: structured requests with batch priority, so that the editors' go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from model_runtime import __version__
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.wire import endpoint, protocol
from model_runtime.wire.endpoint import Meeting
from model_runtime.wire.protocol import (
    PROTOCOL_VERSION,
    Cancel,
    Chunk,
    Failure,
    Generate,
    Hello,
    Loading,
    Message,
    ModelState,
    Priority,
    ProtocolError,
    Reason,
    Result,
    Timing,
)

# Importing torch takes some seconds, reading 13B from a slow disk minutes.
START_S = 60.0
POLL_S = 0.1
IDLE_EXIT_S = 30
READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Draw:
    """What one request brought. The timing is None when it was cut short."""

    texts: list[str]
    timing: Timing | None


class RuntimeLink:
    """One greeted connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = protocol.Decoder()
        self._waiting: deque[Message] = deque()
        self._number = 0

    async def draw(self, request: Generate, complete: Callable[[str], bool]) -> Draw:
        """Sample `request.candidates` texts; none grows further once it is `complete`.

        They are fewer when the runtime has no room for so many at once. Raises EvaluationError when
        it refuses or is lost.
        """
        self._number += 1
        number = self._number
        texts = [""] * request.candidates
        growing = set(range(request.candidates))
        self.send(replace(request, id=number, stream=True, priority=Priority.BATCH))
        while True:
            message = await self.next()
            if getattr(message, "id", None) != number:
                continue
            if isinstance(message, Chunk) and message.candidate in growing:
                texts[message.candidate] += message.text
                if complete(texts[message.candidate]):
                    growing.remove(message.candidate)
                    if not growing:
                        self.send(Cancel(number))
            elif isinstance(message, Result):
                return Draw(texts[: len(message.candidates)], message.timing)
            elif isinstance(message, Failure):
                if message.reason == Reason.CANCELLED and not growing:
                    return Draw(texts, None)
                said = message.message or f"it says {message.reason}."
                raise EvaluationError(f"The runtime can't sample: {said}")

    def send(self, message: Message) -> None:
        self._writer.write(protocol.encode(message))

    async def next(self) -> Message:
        while not self._waiting:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise EvaluationError("The runtime ended; run the command again to go on.")
            self._waiting += self._decoder.feed(data)
        return self._waiting.popleft()

    async def greet(self, token: str) -> None:
        """Say hello and wait until the model is loaded. Raises EvaluationError if it can't be."""
        self.send(Hello(PROTOCOL_VERSION, __version__, token, "codegeex-eval"))
        while True:
            message = await self.next()
            if isinstance(message, Failure):
                raise EvaluationError(f"The runtime refused the link: {message.message}")
            if isinstance(message, ModelState):
                if message.state == Loading.READY:
                    return
                if message.state == Loading.FAILED:
                    raise EvaluationError(message.message)


@asynccontextmanager
async def linked(model: str, device: str) -> AsyncIterator[RuntimeLink]:
    """A link to the runtime of that model; the runtime ends by itself when nobody needs it.

    Raises EvaluationError when none can be started.
    """
    meeting = endpoint.meeting(__version__, model, device)
    reader, writer = await _connect(meeting, model, device)
    found = endpoint.read_endpoint(meeting.endpoint)
    try:
        link = RuntimeLink(reader, writer)
        await link.greet(found.token if found else "")
        yield link
    except (ConnectionError, ProtocolError):
        raise EvaluationError("The link to the runtime broke; run the command again.") from None
    finally:
        writer.close()


async def _connect(
    meeting: Meeting, model: str, device: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the one that listens, else to one started now."""
    started: subprocess.Popen[bytes] | None = None
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        found = endpoint.read_endpoint(meeting.endpoint)
        if found is not None:
            with contextlib.suppress(OSError):
                return await endpoint.connect(found)
        if started is None:
            started = _start(model, device)
        elif started.poll():
            break
        await asyncio.sleep(POLL_S)
    raise EvaluationError(f"No runtime can be started; its log is {meeting.log}.")


def _start(model: str, device: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "model_runtime", "serve", "--model", model]
    command += ["--device", device, "--idle-exit", str(IDLE_EXIT_S)]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
