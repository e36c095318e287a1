"""The language server's link to the model runtime: find it, start it, greet it, ask it.

Nothing here waits for a runtime to appear: a question asked before it is there is answered at once
with Unanswered(starting), and the link is made in the background. Knows no documents and no LSP.
Called by completer.py and by the commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from codegeex_lsp import __version__
from codegeex_lsp.runtime.questions import Answer, Asked, Hear, OverdueError, Questions
from codegeex_lsp.runtime.withheld import without_secrets
from model_runtime.wire import client, endpoint, protocol
from model_runtime.wire.client import Link, NoRuntimeError
from model_runtime.wire.configuration import TrustedSettings
from model_runtime.wire.protocol import (
    Embed,
    Embedding,
    Failure,
    Generate,
    Loading,
    ModelState,
    Priority,
    Reason,
    Result,
)

log = logging.getLogger(__name__)

# A runtime that listens does so about 0.3 s after its start: torch is imported later, while it
# already answers "loading". Ten seconds allow for a machine that swaps.
START_DEADLINE_S = 10.0
START_POLL_S = 0.05
# How long a runtime that holds the lock may take to listen, or one that leaves to be gone.
LOCK_PATIENCE_S = 1.0
# More starts than this within the window is a crash loop: say so and wait the window out.
STARTS_ALLOWED = 3
STARTS_WINDOW_S = 60.0
# Of what a runtime takes no more: two of the largest messages there are.
MAX_UNSENT_BYTES = 2 * protocol.MAX_MESSAGE_BYTES
NO_EMBEDDING_MODEL = (
    'There is no embedding model; name one as "embedding_model" in your config.toml, such as '
    "codet5p-110m-embedding."
)


_NAME = f"codegeex-lsp {os.getpid()}"


class Phase(StrEnum):
    """Where the link stands."""

    ABSENT = "absent"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LinkState:
    """`message` is one sentence for the user, empty when there is nothing to say."""

    phase: Phase
    message: str = ""


class Unanswered(Exception):  # noqa: N818 - an answer without text, no error
    """The runtime gave no text, and why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail


_WAITING = {
    Phase.ABSENT: Reason.STARTING,
    Phase.STARTING: Reason.STARTING,
    Phase.LOADING: Reason.LOADING,
    Phase.FAILED: Reason.LOAD_FAILED,
}


class RuntimeClient:
    """One link to one runtime; made again when it is lost."""

    def __init__(
        self, trusted: TrustedSettings, on_state: Callable[[LinkState], None] | None = None
    ) -> None:
        self.trusted = trusted
        self.state = LinkState(Phase.ABSENT)
        self.welcome: protocol.Welcome | None = None
        self._on_state = on_state
        self._ids = itertools.count(1)
        self._questions = Questions()
        self._last_failure = ""
        self._writer: asyncio.StreamWriter | None = None
        self._link: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._starts: list[float] = []
        self._child: subprocess.Popen[bytes] | None = None
        self._log_begin = 0  # where that one's words begin in the log

    # --- asking -----------------------------------------------------------------------------------

    def next_id(self) -> int:
        return next(self._ids)

    async def generate(self, request: Generate, on_chunk: Hear | None = None) -> Result:
        """The runtime's text. Raises Unanswered; cancelling the await cancels the request there.

        A request with `stream` brings its text to `on_chunk` as it comes.
        """
        answer = await self._ask_the_model(request, on_chunk)
        assert isinstance(answer, Result)  # noqa: S101 - nothing else answers it
        return answer

    async def embed(
        self, texts: Sequence[str], priority: Priority = Priority.BATCH, document: str = ""
    ) -> Embedding:
        """A vector for each text, by the embedding model of the user's settings.

        Raises Unanswered, with unsupported_task when the settings name none; cancelling the await
        cancels the work there. A newer INTERACTIVE one for the same `document` replaces it.
        """
        if not self.trusted.embedding_model:
            raise Unanswered(Reason.UNSUPPORTED_TASK, NO_EMBEDDING_MODEL)
        request = Embed(
            self.next_id(), tuple(texts), self.trusted.embedding_model, document, priority
        )
        answer = await self._ask_the_model(request)
        assert isinstance(answer, Embedding)  # noqa: S101 - as above
        return answer

    async def _ask_the_model(
        self, request: Generate | Embed, on_chunk: Hear | None = None
    ) -> Answer:
        """Raises Unanswered; a cancelled await is cancelled there too."""
        if self.state.phase is not Phase.READY:
            self.ensure()
            raise Unanswered(_WAITING[self.state.phase], self.state.message)
        try:
            return await self._ask(request, on_chunk)
        except asyncio.CancelledError:
            self._send(protocol.Cancel(request.id))
            raise

    def report(self, activity: protocol.Activity) -> None:
        """Tell the runtime what this window answered, for its status; dropped without a link."""
        self._send(activity)

    def remember(self, message: protocol.Remember | protocol.Forget) -> None:
        """Tell the runtime of a document; dropped without a link."""
        self._send(message)

    async def status(self) -> protocol.StatusReport:
        """The runtime's own report. Raises Unanswered when there is no link."""
        if self._writer is None:
            raise Unanswered(Reason.STARTING, self.state.message)
        answer = await self._ask(protocol.StatusQuery(self.next_id()))
        assert isinstance(answer, protocol.StatusReport)  # noqa: S101 - as above
        return answer

    async def _ask(self, asked: Asked, on_chunk: Hear | None = None) -> Answer:
        """Raises Unanswered."""
        self._send(asked)
        try:
            answer = await self._questions.answer(asked, on_chunk)
        except OverdueError as overdue:
            if not overdue.silent:
                self._send(protocol.Cancel(asked.id))
                raise Unanswered(Reason.DEADLINE, str(overdue)) from None
            log.warning("the runtime is silent: the link is made anew")
            if self._writer is not None:
                self._writer.transport.abort()  # it may read as little as it says
            self._hang_up()
            raise Unanswered(Reason.RUNTIME_LOST, str(overdue)) from None
        if isinstance(answer, Failure):
            raise Unanswered(_reason(answer.reason), answer.message)
        return answer

    def _send(self, message: protocol.Message) -> None:
        if self._writer is None:
            return
        self._writer.write(protocol.encode(without_secrets(message)))
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.warning("the runtime stopped reading and is given up")
            self._writer.transport.abort()  # which ends _serve()

    # --- the link ---------------------------------------------------------------------------------

    def ensure(self) -> None:
        """See to it that a link exists or is being made. Never waits."""
        if self._link is None or self._link.done():
            self._link = asyncio.create_task(self._keep_link())

    async def ready(self, timeout_s: float) -> LinkState:
        """Wait until the model is ready or has failed, at most `timeout_s`; for the commands."""
        self.ensure()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.state.phase not in (Phase.READY, Phase.FAILED):
                    self._changed.clear()
                    await self._changed.wait()
        return self.state

    async def attach(self) -> bool:
        """Link to a runtime that already runs; never starts one. True when it answered."""
        try:
            link = await client.greet(self._meeting(), _NAME)
        except (endpoint.UnsafeDirectoryError, NoRuntimeError):
            return False
        self._changed.clear()
        self._link = asyncio.create_task(self._serve(link))
        await self._changed.wait()
        return True

    async def close(self) -> None:
        """Drop the link. The runtime stays for others and leaves by itself when idle."""
        if self._link is not None:
            self._link.cancel()
            await asyncio.wait([self._link])
        self._hang_up()

    def _meeting(self) -> endpoint.Meeting:
        return endpoint.meeting(
            __version__, self.trusted.model, self.trusted.device, self.trusted.quantize
        )

    async def _keep_link(self) -> None:
        """Link, serve, and link again after a loss, until a start fails."""
        try:
            while True:
                await self._serve(await self._find_or_start(self._meeting()))
                self._become(Phase.ABSENT)
        except (OSError, endpoint.UnsafeDirectoryError, _StartError) as error:
            log.warning("no runtime: %s", error)
            self._become(Phase.FAILED, str(error))

    async def _find_or_start(self, place: endpoint.Meeting) -> Link:
        with contextlib.suppress(NoRuntimeError):
            return await client.greet(place, _NAME)
        self._start(place)
        refused = NoRuntimeError()
        deadline = time.monotonic() + START_DEADLINE_S
        again = time.monotonic() + LOCK_PATIENCE_S
        while time.monotonic() < deadline:
            await asyncio.sleep(START_POLL_S)
            try:
                return await client.greet(place, _NAME)
            except NoRuntimeError as error:
                refused = error
            ended = self._child.poll() if self._child is not None else None
            if ended:
                break
            if ended == 0 and time.monotonic() > again:
                # It found the lock taken, by a runtime that was leaving: now it is free.
                self._child = self._started(place)
                again = time.monotonic() + LOCK_PATIENCE_S
        if ended == 0 and place.endpoint.exists():  # one that is stuck has the lock
            raise _StartError(str(refused))
        said = client.last_words(place.log, self._log_begin)
        problem = f"The model runtime did not start; its log is {place.log}."
        raise _StartError(said or problem)

    def _start(self, place: endpoint.Meeting) -> None:
        now = time.monotonic()
        self._starts = [start for start in self._starts if now - start < STARTS_WINDOW_S]
        if len(self._starts) >= STARTS_ALLOWED:
            raise _StartError(
                f"The model runtime stopped {STARTS_ALLOWED} times within a minute; "
                f"its log is {place.log}. {self._last_failure}".rstrip()
            )
        self._starts.append(now)
        self._become(Phase.STARTING, "The model is being started.")
        self._child = self._started(place)

    def _started(self, place: endpoint.Meeting) -> subprocess.Popen[bytes]:
        chosen = self.trusted
        self._log_begin = place.log.stat().st_size if place.log.exists() else 0
        return client.start(place, chosen.model, chosen.device, chosen.quantize, chosen.idle_exit_s)

    async def _serve(self, link: Link) -> None:
        """Resolve answers until the link ends."""
        self.welcome = link.welcome
        self._writer = link.writer
        self._become(Phase.LOADING, "The model is being loaded.")
        try:
            async for message in link.messages():
                self._questions.take(message)
                if isinstance(message, ModelState):
                    self._follow(message)
        except (OSError, protocol.ProtocolError) as error:
            log.warning("link to the runtime broke: %s", error)
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._questions.end(Reason.RUNTIME_LOST)
        if self.state.phase in (Phase.READY, Phase.LOADING):
            self._become(Phase.ABSENT)

    def _follow(self, told: ModelState) -> None:
        phase = _PHASES.get(told.state, Phase.FAILED)
        if phase is Phase.FAILED:
            self._last_failure = told.message
        self._become(phase, told.message)

    def _become(self, phase: Phase, message: str = "") -> None:
        state = LinkState(phase, message)
        if state != self.state:
            self.state = state
            self._changed.set()
            if self._on_state is not None:
                self._on_state(state)


class _StartError(Exception):
    """A runtime could not be started."""


_PHASES = {
    Loading.LOADING.value: Phase.LOADING,
    Loading.READY.value: Phase.READY,
    Loading.FAILED.value: Phase.FAILED,
}


def _reason(code: str) -> Reason:
    try:
        return Reason(code)
    except ValueError:
        return Reason.ENGINE_ERROR
