"""The process that owns one model: lock, socket, clients, idle exit. Start reading here.

It knows when to live and whom to serve, and leaves messages to connection.py, order to scheduler.py
and the model to the engine's thread, which loads it after the socket is open. When one of its
threads ends by a failure it says so to every client and leaves, so that the next start is fresh.
__main__.py calls serve().
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import filelock

from model_runtime import __version__, logs
from model_runtime.device.system_memory import resident_bytes
from model_runtime.engine.counters import Answers, Work
from model_runtime.engine.loading import load_engine, why_it_ended, why_not_loaded
from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.folders.announcing import Announcement, announce
from model_runtime.hub.cache import able
from model_runtime.logs import LOG
from model_runtime.recall.mailbox import Letter, Mailbox
from model_runtime.serving.connection import Connection
from model_runtime.serving.listening import listen
from model_runtime.serving.threads import Threads
from model_runtime.wire import endpoint
from model_runtime.wire.endpoint import Endpoint, Meeting
from model_runtime.wire.protocol import (
    PROTOCOL_VERSION,
    Chunk,
    Embed,
    Failure,
    Generate,
    Loading,
    ModelState,
    Reason,
    Reply,
    Task,
    Welcome,
)

# Once the daemon ends a running step gets so long to finish.
LAST_STEP_S = 5.0
# So long each client has to take what was already sent to it.
LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """As the user wrote them: `model` is a known name or a folder, `quantize` empty or how to keep
    a model that is stored in float."""

    model: str
    device: str
    idle_exit_s: float
    log_to_stderr: bool = False
    quantize: str = ""


def serve(options: Options) -> int:
    """Serve until idle or stopped; the exit code. Raises UnsafeDirectoryError.

    When another process serves the same model it ends at once, with 0.
    """
    meeting = endpoint.meeting(__version__, options.model, options.device, options.quantize)
    log = None if options.log_to_stderr else meeting.log
    logs.set_up(log)
    lock = filelock.FileLock(meeting.lock, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        LOG.info("another runtime serves this model already")
        return 0
    logs.catch_the_rest(log)
    daemon = Daemon(options, meeting)
    try:
        asyncio.run(daemon.run())
    finally:
        lock.release()
    if not daemon.threads.ended_within(LAST_STEP_S):
        # Importing torch or reading weights can't be interrupted.
        logging.shutdown()
        os._exit(daemon.code)
    return daemon.code


class Daemon:
    """Everything here but its threads lives in the event loop. `code` is what it exits with."""

    def __init__(self, options: Options, meeting: Meeting) -> None:
        self.code = 0
        self.token = secrets.token_hex(32)
        self.scheduler = Scheduler(self._emit)
        self.mailbox = Mailbox()
        self._options = options
        self._meeting = meeting
        self._started = time.monotonic()
        self._state = ModelState(Loading.LOADING, "The model is being loaded.")
        self._device = ""
        self._clients: dict[int, Connection] = {}
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._next_client = 1
        self._told = Announcement()
        self._described = asyncio.Event()
        self._remembered: Callable[[], dict[str, int]] = dict
        self._failed: Callable[[], dict[str, int]] = dict
        self._answers = Answers()
        self._work = Work()
        self._loop: asyncio.AbstractEventLoop
        self._ended = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self.threads = Threads(self._on_failure)

    async def run(self) -> None:
        """Listen until stop(); afterwards no file but the lock and the log is left."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_log_failure)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        server, address = await listen(self._meeting, self._accept)
        endpoint.write_endpoint(self._meeting.endpoint, Endpoint(address, self.token, os.getpid()))
        LOG.info("serving %s on %s", self._options.model, address)
        self.threads.begin("engine", self._run_engine)
        self._wait_for_clients()
        try:
            await self._ended.wait()
        finally:
            self._meeting.endpoint.unlink(missing_ok=True)
            server.close()
            self._meeting.socket.unlink(missing_ok=True)
            self.scheduler.close()
            self.mailbox.close()
            await self._hang_up()

    def stop(self, why: str) -> None:
        LOG.info("ending: %s", why)
        self._ended.set()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._loop.call_soon_threadsafe(self.stop, signal.Signals(number).name)

    # --- clients --------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._next_client, self, reader, writer)
        self._next_client += 1
        self._connections[connection] = self._loop.create_task(connection.serve())

    async def _hang_up(self) -> None:
        for connection in self._connections:
            connection.close()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=LAST_WORDS_S)

    async def enter(self, connection: Connection) -> None:
        """A client said a good hello. What it is told of the model is read from files, elsewhere
        than in the loop."""
        await self._described.wait()
        welcome = await asyncio.to_thread(self._welcome)
        self._clients[connection.number] = connection
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        connection.send(welcome)
        connection.send(self._state)

    def _welcome(self) -> Welcome:
        told = self._told
        return Welcome(
            PROTOCOL_VERSION,
            __version__,
            os.getpid(),
            self._options.model,
            told.context_chars,
            told.minimum_confidence,
            told.tasks,
            told.context_tokens,
            {task.value: able(task) for task in Task if task not in told.tasks},
            told.converses,
        )

    def leave(self, connection: Connection) -> None:
        """A connection ended, greeted or not."""
        self._connections.pop(connection, None)
        if self._clients.pop(connection.number, None) is not None:
            self.scheduler.drop_client(connection.number)
            self.mailbox.put(Letter(connection.number))
            if not self._clients and self._state.state == Loading.FAILED:
                self.stop("no client and no model")  # the next start may find what is missing now
            elif not self._clients:
                self._wait_for_clients()

    def _wait_for_clients(self) -> None:
        self._idle = self._loop.call_later(
            self._options.idle_exit_s, self.stop, "no client for a while"
        )

    # --- requests -------------------------------------------------------------------------------

    def ask(self, connection: Connection, request: Generate | Embed) -> None:
        """Queue a request, or say why the model can't take any."""
        if self._state.state == Loading.READY:
            self.scheduler.submit(connection.number, request)
            return
        failed = self._state.state == Loading.FAILED
        reason = Reason.LOAD_FAILED if failed else Reason.LOADING
        reply = Failure(request.id, reason, self._state.message)
        self._answers.add(reply)
        connection.send(reply)

    def _emit(self, job: Job, message: Reply) -> None:
        """From any thread: bring an answer to the loop and on to its client."""
        self._in_loop(lambda: self._deliver(job, message))

    def _deliver(self, job: Job, message: Reply) -> None:
        if not isinstance(message, Chunk):
            self._answers.add(message, (self.scheduler.clock() - job.arrived) * 1000)
        if (client := self._clients.get(job.client)) is not None:
            client.send(message)

    def _in_loop(self, action: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop has ended, and with it everybody who could be told
            LOG.debug("an answer came after the end")

    # --- its threads ------------------------------------------------------------------------------

    def _run_engine(self) -> None:
        """Load the model, then serve; a failure is a state that every client can read."""
        self._in_loop(partial(self._describe, announce(self._options.model)))
        try:
            engine = load_engine(
                self._options.model,
                self._options.device,
                self._options.quantize,
                self.scheduler,
                self._emit,
                self._work,
            )
        except BaseException as error:
            logs.failure("the model can't be loaded", error)
            self._become(ModelState(Loading.FAILED, why_not_loaded(error)))
            return
        self._device = engine.device.reason
        self.threads.begin("memory", partial(engine.memory.run, self.mailbox))
        self.threads.begin("embedder", engine.embedder.run)
        self._remembered, self._failed = engine.memory.sizes, engine.failed
        self._become(ModelState(Loading.READY, f"{self._options.model} is ready."))
        engine.run()

    def _describe(self, told: Announcement) -> None:
        self._told = told
        self._described.set()

    def _on_failure(self, error: BaseException) -> None:
        self._in_loop(partial(self._give_up, why_it_ended(error)))

    def _give_up(self, why: str) -> None:
        """Whoever waits is told, and the next start is fresh."""
        self.code = 1
        self._announce(ModelState(Loading.FAILED, why))
        self.scheduler.close(Reason.ENGINE_ERROR)
        self.stop("it can't go on")

    def _become(self, state: ModelState) -> None:
        LOG.info("model %s", state.state)
        self._in_loop(lambda: self._announce(state))

    def _announce(self, state: ModelState) -> None:
        self._state = state
        for client in list(self._clients.values()):
            client.send(state)

    def report(self) -> dict[str, Any]:
        """What `codegeex-runtime status` shows. Plain types only."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "model": self._options.model,
            "quantize": self._options.quantize,
            "device": self._device,
            "state": str(self._state.state),
            "message": self._state.message,
            "uptime_s": time.monotonic() - self._started,
            "clients": len(self._clients),
            "queue": self.scheduler.waiting,
            "memory_bytes": resident_bytes(),
            "remembered": self._remembered(),
            "failed": self._failed(),
            "editors": [
                {"client": client.name, **asdict(client.activity)}
                for client in self._clients.values()
                if client.activity is not None
            ],
            **self._answers.report(),
            **self._work.report(),
        }


def _log_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    logs.failure("a task failed", context.get("exception"))
