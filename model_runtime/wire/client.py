"""The client's side of the socket: greet a runtime that listens, start one that does not.

Whoever asks a runtime anything begins here: the language server, the commands, the evaluation. What
they ask, and when they link again, is theirs.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from model_runtime import __version__
from model_runtime.wire import endpoint
from model_runtime.wire.endpoint import Meeting
from model_runtime.wire.protocol import (
    HELLO_DEADLINE_S,
    PROTOCOL_VERSION,
    Decoder,
    Failure,
    Hello,
    Message,
    ProtocolError,
    Welcome,
    encode,
)

READ_BYTES = 64 * 1024
MOST_WORDS = 4096


class NoRuntimeError(Exception):
    """Nobody (or nobody of ours) answers there; str() is one sentence."""


@dataclass(frozen=True, slots=True)
class Link:
    """A greeted runtime. What arrived behind its welcome is still in the decoder."""

    welcome: Welcome
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    decoder: Decoder

    def send(self, message: Message) -> None:
        self.writer.write(encode(message))

    async def messages(self) -> AsyncIterator[Message]:
        """All until the runtime hangs up. Raises OSError, ProtocolError."""
        data = b""
        while True:
            for message in self.decoder.feed(data):
                yield message
            if not (data := await self.reader.read(READ_BYTES)):
                return


async def greet(place: Meeting, name: str) -> Link:
    """Connect and say hello as `name`. Raises NoRuntimeError."""
    known = endpoint.read_endpoint(place.endpoint)
    if known is None:
        raise NoRuntimeError("No runtime is running for this model and device.")
    try:
        async with asyncio.timeout(HELLO_DEADLINE_S):
            reader, writer = await endpoint.connect(known)
    except (OSError, TimeoutError, ValueError):  # a ValueError: no address
        raise NoRuntimeError("No runtime is running; the last one didn't end properly.") from None
    decoder = Decoder()
    try:
        async with asyncio.timeout(HELLO_DEADLINE_S):
            writer.write(encode(Hello(PROTOCOL_VERSION, __version__, known.token, name)))
            return Link(await _welcome(reader, decoder), reader, writer, decoder)
    except (OSError, TimeoutError, ProtocolError):
        writer.close()
        raise NoRuntimeError("The runtime is there but doesn't answer; end its process.") from None
    except NoRuntimeError:
        writer.close()
        raise


async def _welcome(reader: asyncio.StreamReader, decoder: Decoder) -> Welcome:
    """The runtime's first message; what arrived behind it stays in the decoder."""
    while data := await reader.read(READ_BYTES):
        for message in decoder.feed(data):
            if isinstance(message, Welcome):
                return message
            if isinstance(message, Failure):
                raise NoRuntimeError(message.message)
            raise ProtocolError("no welcome")
    raise ProtocolError("it hung up")


def start(
    place: Meeting, model: str, device: str, quantize: str, idle_exit_s: int
) -> subprocess.Popen[bytes]:
    """Start a runtime that outlives us and shares none of our pipes. Raises OSError.

    An inherited stdout would keep the editor's pipe open after the server ended. `-P` and the
    working folder keep a workspace that holds a folder named model_runtime from being run.
    """
    command = [sys.executable, "-P", "-m", "model_runtime", "serve"]
    command += [f"--model={model}", f"--device={device}"]
    command += [f"--quantize={quantize}", f"--idle-exit={idle_exit_s}"]
    descriptor = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=place.log.parent,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def last_words(log: Path, begin: int) -> str:
    """The sentence with which a runtime ended that couldn't begin, from that byte of its log on; ""
    when it said more than one, or nothing."""
    try:
        with log.open("rb") as file:
            file.seek(begin)
            lines = file.read(MOST_WORDS).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return lines[0] if len(lines) == 1 else ""
