"""A runtime at the process boundary: the real socket and protocol, answers made by the test.

It serves where a `codegeex-lsp` with CODEGEEX_MODEL=fake and the same CODEGEEX_RUNTIME_DIR looks.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

from model_runtime import __version__, endpoint, protocol
from model_runtime.protocol import Candidate, Generate, Timing

MODEL = "fake"
DEVICE = "cpu"
TOKEN = "token-of-the-fake"


def candidates(*texts: str, source: str = "model") -> tuple[Candidate, ...]:
    return tuple(Candidate(text, source, "lines", 3, -0.2, -0.9) for text in texts)


class FakeRuntime:
    """`answer` maps a request to candidate texts or a Failure; `delay_s` is the model's time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer: Callable[[Generate], tuple[Candidate, ...] | protocol.Failure] = (
            lambda request: candidates("answer()")
        )
        self.delay_s = 0.0
        self.state = protocol.ModelState(protocol.Loading.READY)
        self.requests: list[Generate] = []
        self.cancelled: list[int] = []
        self.most_at_once = 0
        self._running: dict[int, asyncio.Task[None]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> FakeRuntime:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def drop_clients(self) -> None:
        """Hang up on everybody, as a killed runtime does."""
        self._loop.call_soon_threadsafe(lambda: [writer.close() for writer in self._writers])

    def push(self, state: protocol.ModelState) -> None:
        self.state = state

        def send() -> None:
            for writer in self._writers:
                writer.write(protocol.encode(state))

        self._loop.call_soon_threadsafe(send)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        place = endpoint.meeting(__version__, MODEL, DEVICE)
        self._server = await asyncio.start_unix_server(self._serve, place.socket)
        address = f"unix:{place.socket}"
        endpoint.write_endpoint(place.endpoint, endpoint.Endpoint(address, TOKEN, os.getpid()))

    async def _close(self) -> None:
        self._server.close()
        for task in self._running.values():
            task.cancel()
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = protocol.Decoder()
        self._writers.add(writer)
        try:
            while data := await reader.read(65536):
                for message in decoder.feed(data):
                    self._take(message, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _take(self, message: protocol.Message, writer: asyncio.StreamWriter) -> None:
        match message:
            case protocol.Hello(token=token):
                assert token == TOKEN
                welcome = protocol.Welcome(
                    protocol.PROTOCOL_VERSION, __version__, os.getpid(), MODEL, 2000
                )
                writer.write(protocol.encode(welcome) + protocol.encode(self.state))
            case Generate(id=number):
                self.requests.append(message)
                self._running[number] = self._loop.create_task(self._work(message, writer))
                self.most_at_once = max(self.most_at_once, len(self._running))
            case protocol.Cancel(id=number):
                self.cancelled.append(number)
                if (task := self._running.get(number)) is not None:
                    task.cancel()

    async def _work(self, request: Generate, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(self.delay_s)
            made = self.answer(request)
            if isinstance(made, protocol.Failure):
                reply: protocol.Message = protocol.Failure(request.id, made.reason, made.message)
            else:
                reply = protocol.Result(request.id, made, Timing())
            writer.write(protocol.encode(reply))
        finally:
            self._running.pop(request.id, None)
