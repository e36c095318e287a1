"""One client of the daemon, from its hello to its last byte.

It knows the protocol and passes requests on; it knows neither the model nor the other clients. A
connection is a lease: when it closes, all that it asked for is cancelled. It lives in the event
loop; the daemon makes one for every client that connects.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from model_runtime import __version__, logs
from model_runtime.engine.scheduler import Scheduler
from model_runtime.logs import LOG
from model_runtime.recall.mailbox import Letter, Mailbox
from model_runtime.serving.report import lines
from model_runtime.wire import protocol
from model_runtime.wire.protocol import (
    Activity,
    Cancel,
    Embed,
    Failure,
    Forget,
    Generate,
    Hello,
    Message,
    ProtocolError,
    Reason,
    Remember,
    StatusQuery,
    StatusReport,
    Stop,
)

READ_BYTES = 64 * 1024
# A client that lets this much pile up has stopped reading.
MAX_UNREAD_BYTES = 4 * 1024 * 1024


class RefusedError(Exception):
    """Not a client of ours; str() is the sentence it is told."""


class Host(Protocol):
    """What a connection needs of the process it is in."""

    token: str
    scheduler: Scheduler
    mailbox: Mailbox

    async def enter(self, connection: Connection) -> None: ...
    def leave(self, connection: Connection) -> None: ...
    def ask(self, connection: Connection, request: Generate | Embed) -> None: ...
    def report(self) -> dict[str, object]: ...
    def stop(self, why: str) -> None: ...


class Connection:
    """`number` names the client to the scheduler, `name` to people; `activity` is its last one."""

    def __init__(
        self,
        number: int,
        host: Host,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.name = ""
        self.activity: Activity | None = None
        self._host = host
        self._reader = reader
        self._writer = writer

    async def serve(self) -> None:
        """Greet the client and answer it until it leaves; never raises because of it."""
        messages = self._messages()
        try:
            await self._greet(messages)
            async for message in messages:
                self._handle(message)
        except RefusedError as refused:
            LOG.warning("client %d refused: %s", self.number, refused)
            self.send(Failure(0, Reason.REFUSED, str(refused)))
        except ProtocolError:
            LOG.warning("client %d sent something that is no message", self.number)
        except OSError:
            LOG.info("client %d was cut off", self.number)
        except Exception as error:  # our bug must cost this client only
            logs.failure("a connection failed", error)
        finally:
            self._host.leave(self)
            await messages.aclose()
            self.close()

    def send(self, message: Message) -> None:
        """Queue one message for the client, or hang up when it has stopped reading."""
        if self._writer.is_closing():
            return
        self._writer.write(protocol.encode(message))
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            LOG.warning("client %d stopped reading and was dropped", self.number)
            self._writer.transport.abort()

    def close(self) -> None:
        """Hang up once the client has what was sent to it."""
        self._writer.close()

    async def _messages(self) -> AsyncGenerator[Message, None]:
        decoder = protocol.Decoder()
        while data := await self._reader.read(READ_BYTES):
            for message in decoder.feed(data):
                yield message

    async def _greet(self, messages: AsyncIterator[Message]) -> None:
        """Raises RefusedError, ProtocolError."""
        try:
            async with asyncio.timeout(protocol.HELLO_DEADLINE_S):
                hello = await anext(messages, None)
        except TimeoutError:
            raise RefusedError("The hello didn't come in time.") from None
        if not isinstance(hello, Hello):
            raise RefusedError("The first message must be a hello.")
        self._check(hello)
        self.name = hello.client
        await self._host.enter(self)

    def _check(self, hello: Hello) -> None:
        given = hello.token.encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, self._host.token.encode()):
            raise RefusedError("The token is wrong; read the endpoint file again.")
        if hello.protocol != protocol.PROTOCOL_VERSION:
            raise RefusedError(f"The runtime speaks protocol {protocol.PROTOCOL_VERSION} only.")
        if hello.version != __version__:
            raise RefusedError(f"The runtime is version {__version__} and serves that one only.")

    def _handle(self, message: Message) -> None:
        match message:
            case Generate() | Embed():
                self._host.ask(self, message)
            case Cancel():
                self._host.scheduler.cancel(self.number, message.id)
            case Remember(document=document, text=text):
                self._host.mailbox.put(Letter(self.number, document, text))
            case Forget(document=document):
                self._host.mailbox.put(Letter(self.number, document))
            case Activity():
                self.activity = message
            case StatusQuery():
                report = self._host.report()
                self.send(StatusReport(message.id, report, lines(report)))
            case Stop():
                self._host.stop("a client asked for it")
            case _:
                raise ProtocolError("a message that only the runtime sends")
