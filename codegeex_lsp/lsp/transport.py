"""stdio for the server: threads that read and write, and every way the process can end.

    reader thread   blocking reads, whole bodies to the loop
    loop            everything else (rules.py)
    writer thread   blocking writes from a bounded queue, so a client that stops reading blocks
                    nobody

The process ends on exit, end of stdin, SIGINT, SIGTERM, a dead parent or a client that doesn't
read, promptly even when a handler hangs. Called by `serve`; knows no message but its frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codegeex_lsp.lsp.errors import MessageError
from codegeex_lsp.lsp.framing import Frames

if TYPE_CHECKING:
    from codegeex_lsp.lsp.server import HardenedServer

logger = logging.getLogger(__name__)

# How long the end may take: a third each for tasks to stop, for queued replies to be written, for
# the interpreter; a handler that hangs is left behind.
GRACE_S = 1.5
# A client that has not taken a byte for this long while this much waits is not coming back.
PATIENCE_S = 10.0
WAITING_BYTES = 1024 * 1024
# However fast it reads, no more than this is kept for it.
MAX_WAITING_BYTES = 256 * 1024 * 1024
PARENT_POLL_S = 2.0


def run_stdio(server: HardenedServer) -> int:
    """Serve the client on stdin and stdout until the session ends; answers the exit code.

    Afterwards the process is to exit with that code; if something keeps it from doing so for
    GRACE_S, it is ended anyway.
    """
    source, sink = _take_stdio()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_log_loop_error)
    link = StdioLink(loop, sink, server.protocol.exit_code)
    server.protocol.link = link
    _listen_for_signals(link.on_signal)
    _start_thread("reader", lambda: _read(source, loop, server, link))
    try:
        loop.run_until_complete(link.wait())
        _stop_tasks(loop)
    finally:
        link.close()
    return link.code


class StdioLink:
    """What the protocol sends through, and the one place that decides to end the process."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sink: int, exit_code: Callable[[], int]
    ) -> None:
        self.code = 0
        self._loop = loop
        self._exit_code = exit_code
        self._ended = asyncio.Event()
        self._leaving = threading.Lock()
        self._outbox = Outbox(lambda data: os.write(sink, data), self.lost_client)

    def send(self, body: bytes) -> None:
        self._outbox.put(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def leave(self, code: int) -> None:
        """End the process: soon in an orderly way, after GRACE_S in any way. From any thread;
        the first call counts."""
        if not self._leaving.acquire(blocking=False):
            return
        self.code = code
        _start_thread("last resort", lambda: _exit_after(GRACE_S, code))
        with contextlib.suppress(RuntimeError):  # the loop is closed: the end is under way
            self._loop.call_soon_threadsafe(self._ended.set)

    def lost_client(self) -> None:
        """Nobody reads or writes the other end any more: 0 if it said shutdown before."""
        self.leave(self._exit_code())

    def on_signal(self, number: int) -> None:
        """Like a program that doesn't handle the signal, but in good order."""
        self.leave(self._exit_code() and 128 + number)

    def watch_parent(self, process_id: int) -> None:
        """Leave when the process that started us is gone without closing our stdin."""
        if os.name == "posix":  # elsewhere signal 0 is not a question
            _start_thread("parent watch", lambda: _watch(process_id, self.lost_client))

    async def wait(self) -> None:
        await self._ended.wait()

    def close(self) -> None:
        """Write what is still queued, as far as the client takes it."""
        self._outbox.close(GRACE_S / 3)


class Outbox:
    """Messages on their way out, written in order by a thread of its own.

    `give_up` is called, once at least and from either thread, when the client is gone or does not
    read; nothing more is written then.
    """

    def __init__(self, write: Callable[[memoryview], int], give_up: Callable[[], None]) -> None:
        self._write = write
        self._give_up = give_up
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # Each counter is changed by one thread only, so their difference needs no lock.
        self._put_bytes = 0
        self._taken_bytes = 0
        self._last_taken = time.monotonic()
        self._thread = _start_thread("writer", self._run)

    def put(self, data: bytes) -> None:
        """Queue `data`; never blocks."""
        waiting = self._put_bytes - self._taken_bytes
        if waiting == 0:
            self._last_taken = time.monotonic()
        stuck = waiting > WAITING_BYTES and time.monotonic() - self._last_taken > PATIENCE_S
        if stuck or waiting > MAX_WAITING_BYTES:
            logger.error("The client does not read: %d bytes wait.", waiting)
            self._give_up()
            return
        self._put_bytes += len(data)
        self._queue.put(data)

    def close(self, timeout: float) -> None:
        """Let the thread end after what is queued; wait `timeout` seconds for it."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while (data := self._queue.get()) is not None:
                rest = memoryview(data)
                while rest:
                    written = self._write(rest)
                    rest = rest[written:]
                    self._taken_bytes += written
                    self._last_taken = time.monotonic()
        except OSError:
            self._give_up()


def _take_stdio() -> tuple[int, int]:
    """Our own copies of stdin and stdout; the usual ones become empty and stderr, so that a stray
    print() or a child process can't touch the protocol."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without stderr
        os.dup2(nothing, 1)
    os.close(nothing)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(source, os.O_BINARY)
        msvcrt.setmode(sink, os.O_BINARY)
    return source, sink


def _listen_for_signals(heard: Callable[[int], None]) -> None:
    """Call `heard` from a thread of its own. Python runs signal handlers in the main thread only,
    which may hang, or sleep through a signal that the system gave to another thread."""
    listener, bell = socket.socketpair()
    bell.setblocking(False)
    signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)

    def listen() -> None:
        with bell:  # only its number is known to the signal module
            while True:
                heard(listener.recv(1)[0])

    _start_thread("signals", listen)


def _read(
    source: int, loop: asyncio.AbstractEventLoop, server: HardenedServer, link: StdioLink
) -> None:
    protocol = server.protocol
    try:
        for frame in Frames(lambda size: os.read(source, size)):
            if isinstance(frame, MessageError):
                loop.call_soon_threadsafe(protocol.refuse, None, frame)
            else:
                loop.call_soon_threadsafe(protocol.receive, frame)
        # What was read before the end is still worked on: it may hold shutdown and exit. Unless
        # the loop hangs in a handler and never gets to it.
        loop.call_soon_threadsafe(link.lost_client)
        threading.Event().wait(GRACE_S / 3)
    except (OSError, RuntimeError):
        logger.debug("Stdin failed or the loop is closed already.")
    finally:
        link.lost_client()


def _stop_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs and give it a moment to say goodbye to others."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE_S / 3))


def _watch(process_id: int, gone: Callable[[], None]) -> None:
    # One that we can't see from the start lives in another container: nothing to learn from it.
    if _alive(process_id):
        while _alive(process_id):
            time.sleep(PARENT_POLL_S)
        logger.info("The client's process is gone.")
        gone()


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except PermissionError:
        return True  # it lives, under another user
    except (OSError, OverflowError):
        return False
    return True


def _exit_after(seconds: float, code: int) -> None:
    time.sleep(seconds)
    os._exit(code)


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    logger.error("%s", context["message"], exc_info=context.get("exception"))


def _start_thread(name: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
