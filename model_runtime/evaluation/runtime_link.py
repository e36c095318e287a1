"""A link to the runtime that serves the model, started here when nobody serves it.

A client like any editor: structured requests with batch priority, so that the editors' go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from model_runtime import __version__
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.wire import client, endpoint
from model_runtime.wire.client import Link, NoRuntimeError
from model_runtime.wire.endpoint import Meeting
from model_runtime.wire.protocol import (
    Cancel,
    Chunk,
    Failure,
    Generate,
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


@dataclass(frozen=True, slots=True)
class Draw:
    """What one request brought. The timing is None when it was cut short."""

    texts: list[str]
    timing: Timing | None


class RuntimeLink:
    """One greeted connection; one request at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._messages = link.messages()
        self._number = 0

    @property
    def converses(self) -> bool:
        """Whether its model is asked in words, and answers in them."""
        return self._link.welcome.converses

    async def draw(self, request: Generate, complete: Callable[[str], bool]) -> Draw:
        """Sample `request.candidates` texts; none grows further once it is `complete`.

        They are fewer when the runtime has no room for so many at once. Raises EvaluationError when
        it refuses or is lost.
        """
        self._number += 1
        number = self._number
        texts = [""] * request.candidates
        growing = set(range(request.candidates))
        self._link.send(replace(request, id=number, stream=True, priority=Priority.BATCH))
        while True:
            message = await self._next()
            if getattr(message, "id", None) != number:
                continue
            if isinstance(message, Chunk) and message.candidate in growing:
                texts[message.candidate] += message.text
                if complete(texts[message.candidate]):
                    growing.remove(message.candidate)
                    if not growing:
                        self._link.send(Cancel(number))
            elif isinstance(message, Result):
                # What beams found was not streamed.
                whole = [one.text for one in message.candidates]
                found = [text or one for text, one in zip(texts, whole, strict=False)]
                return Draw(found, message.timing)
            elif isinstance(message, Failure):
                if message.reason == Reason.CANCELLED and not growing:
                    return Draw(texts, None)
                said = message.message or f"it says {message.reason}."
                raise EvaluationError(f"The runtime can't sample: {said}")

    async def ready(self) -> None:
        """Wait until the model is loaded. Raises EvaluationError if it can't be."""
        while True:
            message = await self._next()
            if isinstance(message, ModelState):
                if message.state == Loading.READY:
                    return
                if message.state == Loading.FAILED:
                    raise EvaluationError(message.message)

    async def _next(self) -> Message:
        if (message := await anext(self._messages, None)) is None:
            raise EvaluationError("The runtime ended; run the command again to go on.")
        return message


@asynccontextmanager
async def linked(model: str, device: str) -> AsyncIterator[RuntimeLink]:
    """A link to the runtime of that model; the runtime ends by itself when nobody needs it.

    Raises EvaluationError when none can be started.
    """
    found = await _find_or_start(endpoint.meeting(__version__, model, device), model, device)
    try:
        link = RuntimeLink(found)
        await link.ready()
        yield link
    except (ConnectionError, ProtocolError):
        raise EvaluationError("The link to the runtime broke; run the command again.") from None
    finally:
        found.writer.close()


async def _find_or_start(meeting: Meeting, model: str, device: str) -> Link:
    """The one that listens, else one started now."""
    started: subprocess.Popen[bytes] | None = None
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with contextlib.suppress(NoRuntimeError):
            return await client.greet(meeting, "codegeex-eval")
        if started is None:
            started = client.start(meeting, model, device, "", IDLE_EXIT_S)
        elif started.poll():
            break
        await asyncio.sleep(POLL_S)
    raise EvaluationError(f"No runtime can be started; its log is {meeting.log}.")
