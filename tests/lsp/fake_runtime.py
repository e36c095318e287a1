"""A runtime at the process boundary: the real socket and protocol, answers made by the test.

It serves where a `codegeex-lsp` with its model, CODEGEEX_DEVICE=cpu and the same
CODEGEEX_RUNTIME_DIR looks, and is as fast, slow, busy or broken as the test wants.
"""

from __future__ import annotations

import array
import asyncio
import math
import os
import string
import threading
from collections.abc import Callable
from typing import Any, Self

from model_runtime import __version__
from model_runtime.wire import endpoint, protocol
from model_runtime.wire.protocol import (
    Candidate,
    Embed,
    Embedding,
    Failure,
    Generate,
    Loading,
    ModelState,
    Reason,
    Timing,
)

MODEL = "fake"
DEVICE = "cpu"
TOKEN = "token-of-the-fake"  # noqa: S105
TIMEOUT_S = 20.0

Answer = tuple[Candidate, ...] | Failure


def candidates(*texts: str, source: str = "model", logprob: float = -0.2) -> tuple[Candidate, ...]:
    return tuple(Candidate(text, source, "lines", 3, logprob, logprob) for text in texts)


def counted_letters(request: Embed) -> Embedding:
    """Texts with the same letters are near each other; a to z and one for the others."""
    vectors = array.array("f")
    for text in request.texts:
        counts = [text.lower().count(letter) for letter in string.ascii_lowercase]
        counts.append(len(text) - sum(counts) + 1)
        length = math.hypot(*counts)
        vectors.extend(count / length for count in counts)
    return Embedding(request.id, len(request.texts), 27, vectors.tobytes(), "letters")


class FakeRuntime:
    """`answer` maps a request to candidates or a Failure; `delay_s` is the model's time.

    What it has seen stands in `requests`, `cancelled`, `activities` and `remembered`;
    `most_at_once` is the most requests that were neither answered nor cancelled at any time.
    """

    def __init__(self, model: str = MODEL) -> None:
        self.model = model
        self.answer: Callable[[Generate], Answer] = lambda request: candidates("answer()")
        self.embedding: Callable[[Embed], Embedding | Failure] = counted_letters
        self.delay_s = 0.0
        self.minimum_confidence = 0.0
        self.tasks: tuple[str, ...] = tuple(protocol.Task)
        self.context_tokens = 2048
        self.others: dict[str, Any] = {}
        self.state = ModelState(Loading.READY)
        self.requests: list[Generate] = []
        self.embeds: list[Embed] = []
        self.cancelled: list[int] = []
        self.activities: list[protocol.Activity] = []
        self.remembered: dict[str, str] = {}
        self.most_at_once = 0
        self._running: dict[tuple[asyncio.StreamWriter, int], asyncio.Task[None]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = threading.Condition()
        self._unheld = asyncio.Event()
        self._unheld.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # --- what a test does -----------------------------------------------------------------------

    def start(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def hold(self) -> None:
        """Answer nothing until release()."""
        self._loop.call_soon_threadsafe(self._unheld.clear)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._unheld.set)

    def push(self, state: ModelState) -> None:
        """The model's state changes: tell everybody."""
        self.state = state
        self._loop.call_soon_threadsafe(self._send_all, protocol.encode(state))

    def say(self, message: protocol.Message) -> None:
        """To everybody."""
        self._loop.call_soon_threadsafe(self._send_all, protocol.encode(message))

    def drop_clients(self) -> None:
        """Hang up on everybody, as a killed runtime does; whoever comes back is welcome."""
        self._run(self._hang_up())

    def wait(self, condition: Callable[[Self], object]) -> None:
        """Return once `condition` holds; it is asked whenever something was heard or answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), TIMEOUT_S), "it never came true"

    @property
    def clients(self) -> int:
        return len(self._writers)

    @property
    def running(self) -> int:
        return len(self._running)

    # --- its own thread -------------------------------------------------------------------------

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S)

    def _notice(self) -> None:
        with self._changed:
            self._changed.notify_all()

    async def _listen(self) -> None:
        place = self._place = endpoint.meeting(__version__, self.model, DEVICE)
        self._server = await asyncio.start_unix_server(self._serve, place.socket)
        address = f"unix:{place.socket}"
        endpoint.write_endpoint(place.endpoint, endpoint.Endpoint(address, TOKEN, os.getpid()))

    async def _close(self) -> None:
        self._server.close()
        self._place.endpoint.unlink()
        self._place.socket.unlink(missing_ok=True)
        await self._hang_up()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    async def _hang_up(self) -> None:
        for writer in tuple(self._writers):
            writer.close()

    def _send_all(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = protocol.Decoder()
        self._writers.add(writer)
        try:
            while data := await reader.read(65536):
                for message in decoder.feed(data):
                    self._take(message, writer)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            for owner, number in tuple(self._running):
                if owner is writer:
                    self._running.pop((owner, number)).cancel()
            writer.close()
            self._notice()

    def _take(self, message: protocol.Message, writer: asyncio.StreamWriter) -> None:
        match message:
            case protocol.Hello(token=token):
                assert token == TOKEN
                self._welcome(writer)
            case Generate(id=number):
                self.requests.append(message)
                work = self._loop.create_task(self._work(message, writer))
                self._running[writer, number] = work
                self.most_at_once = max(self.most_at_once, self.running)
            case Embed():
                self.embeds.append(message)
                writer.write(protocol.encode(self.embedding(message)))
            case protocol.Cancel(id=number):
                self.cancelled.append(number)
                if (task := self._running.pop((writer, number), None)) is not None:
                    task.cancel()
                    writer.write(protocol.encode(Failure(number, Reason.CANCELLED)))
            case protocol.Remember(document=document, text=text):
                self.remembered[document] = text
            case protocol.Forget(document=document):
                self.remembered.pop(document, None)
            case protocol.Activity():
                self.activities.append(message)
            case protocol.StatusQuery(id=number):
                report = protocol.StatusReport(
                    number, {"model": self.model}, (f"model: {self.model}",)
                )
                writer.write(protocol.encode(report))
        self._notice()

    def _welcome(self, writer: asyncio.StreamWriter) -> None:
        welcome = protocol.Welcome(
            protocol.PROTOCOL_VERSION,
            __version__,
            os.getpid(),
            self.model,
            2000,
            self.minimum_confidence,
            self.tasks,
            self.context_tokens,
            self.others,
        )
        writer.write(protocol.encode(welcome) + protocol.encode(self.state))

    async def _work(self, request: Generate, writer: asyncio.StreamWriter) -> None:
        await self._unheld.wait()
        await asyncio.sleep(self.delay_s)
        made = self.answer(request)
        if isinstance(made, Failure):
            reply: protocol.Message = Failure(request.id, made.reason, made.message)
        else:
            reply = protocol.Result(request.id, made, Timing())
            if request.stream:
                for line in made[0].text.splitlines(keepends=True):
                    writer.write(protocol.encode(protocol.Chunk(request.id, 0, line)))
        self._running.pop((writer, request.id), None)
        writer.write(protocol.encode(reply))
        self._notice()
