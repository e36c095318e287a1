"""The two ways to a runtime process: greet one that listens, start one that does not.

Knows the endpoint and the first two messages; the link's life is runtime/client.py's.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass

from codegeex_lsp import __version__
from codegeex_lsp.config.settings import TrustedSettings
from model_runtime.wire import endpoint, protocol

READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Connection:
    """A greeted runtime. What arrived behind its welcome is still in the decoder."""

    welcome: protocol.Welcome
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    decoder: protocol.Decoder


async def greet(place: endpoint.Meeting) -> Connection | None:
    """Connect and say Hello; None when nobody (or nobody of ours) answers there."""
    known = endpoint.read_endpoint(place.endpoint)
    if known is None:
        return None
    try:
        async with asyncio.timeout(protocol.HELLO_DEADLINE_S):
            reader, writer = await endpoint.connect(known)
    except (OSError, TimeoutError, ValueError):  # a ValueError: no address
        return None
    decoder = protocol.Decoder()
    try:
        async with asyncio.timeout(protocol.HELLO_DEADLINE_S):
            writer.write(protocol.encode(_hello(known.token)))
            return Connection(await _welcome(reader, decoder), reader, writer, decoder)
    except (OSError, TimeoutError, protocol.ProtocolError):
        writer.close()
        return None


def start_runtime(trusted: TrustedSettings, place: endpoint.Meeting) -> subprocess.Popen[bytes]:
    """Start a runtime that outlives us and shares none of our pipes. Raises OSError.

    An inherited stdout would keep the editor's pipe open after the server ended. `-P` and the
    working folder keep a workspace that holds a folder named model_runtime from being run.
    """
    command = [sys.executable, "-P", "-m", "model_runtime", "serve"]
    command += ["--model", trusted.model, "--device", trusted.device]
    command += ["--quantize", trusted.quantize]
    command += ["--idle-exit", str(trusted.idle_exit_s)]
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


def _hello(token: str) -> protocol.Hello:
    name = f"codegeex-lsp {os.getpid()}"
    return protocol.Hello(protocol.PROTOCOL_VERSION, __version__, token, name)


async def _welcome(reader: asyncio.StreamReader, decoder: protocol.Decoder) -> protocol.Welcome:
    """The runtime's first message; what arrived behind it stays in the decoder."""
    while data := await reader.read(READ_BYTES):
        for message in decoder.feed(data):
            if isinstance(message, protocol.Welcome):
                return message
            raise protocol.ProtocolError("the runtime refused the link")
    raise protocol.ProtocolError("the runtime hung up")
