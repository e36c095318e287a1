"""The rules of JSON-RPC over pygls: what a message is, when it may come, and its one reply.

Every request gets exactly one reply: a result, -32800 when cancelled, or a typed error. Replaces
pygls's own dispatch, which leaves requests without reply, shows tracebacks to the user and keeps a
future per notification for ever. Knows nothing of stdio (a Link sends) and nothing of documents
(server.py adds them). Everything here runs on the event loop, in the order of the messages.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol

from codegeex_lsp.config.logs import LOG_NAME
from codegeex_lsp.lsp.errors import (
    CancelledRequestError,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    LspError,
    ParseError,
    UninitializedError,
    UnknownMethodError,
)
from codegeex_lsp.lsp.questions import MessageId, Questions
from codegeex_lsp.lsp.structuring import structure, without_unread_capabilities

if TYPE_CHECKING:
    from cattrs import Converter
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]

INTERNAL = f"codegeex-lsp failed on this request; its log, {LOG_NAME}, tells more."


class Link(Protocol):
    """What the protocol needs of its transport."""

    def send(self, body: bytes) -> None:
        """Queue one message; never blocks."""

    def leave(self, code: int) -> None:
        """End the process with this exit code, soon."""

    def watch_parent(self, process_id: int) -> None:
        """Leave when that process is gone."""


class Stage(Enum):
    """How far the session is. Only RUNNING takes requests other than initialize."""

    NEW = auto()
    INITIALIZING = auto()
    RUNNING = auto()
    SHUT_DOWN = auto()


@dataclass(frozen=True, slots=True)
class _Request:
    id: MessageId
    method: str


class MessageRules(LanguageServerProtocol):
    """Dispatch and replies. `link` is set by the transport before the first message."""

    link: Link | None = None

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        self._stage = Stage.NEW
        self._running: dict[MessageId, asyncio.Task[Any]] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._questions = Questions(converter)
        super().__init__(server, converter)

    # --- what arrives ---------------------------------------------------------------------------

    def receive(self, body: bytes) -> None:
        """Take in one message body."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
            self.refuse(None, ParseError("The message is not JSON."))
            return
        if not isinstance(message, dict):
            self.refuse(None, InvalidRequestError("A message must be one object, not a batch."))
            return
        self._route(message)

    def refuse(self, message_id: MessageId | None, error: LspError) -> None:
        """Send an error reply; without an id for what can't be told apart as a request."""
        problem = {"code": error.code, "message": str(error)}
        self._send({"jsonrpc": "2.0", "id": message_id, "error": problem})

    def _route(self, message: dict[str, Any]) -> None:
        method: Any = message.get("method")
        message_id: Any = message.get("id")
        answers = method is None and ("result" in message or "error" in message)
        if "id" in message and not _is_id(message_id):
            if not answers:
                self.refuse(None, InvalidRequestError("The id must be an integer or a string."))
        elif answers or (method is None and message_id in self._questions):
            self._questions.answer(message_id, message)
        elif not isinstance(method, str) or message.get("jsonrpc") != "2.0":
            self.refuse(message_id, InvalidRequestError("The message is not JSON-RPC 2.0."))
        elif "id" not in message:
            self._receive_notification(method, message.get("params"))
        else:
            self._receive_request(_Request(message_id, method), message.get("params"))

    # --- requests -------------------------------------------------------------------------------

    def _receive_request(self, request: _Request, raw: Any) -> None:
        try:
            self._check_phase(request.method)
            if request.id in self._running:
                raise InvalidRequestError("A request with this id is still being worked on.")
            handler = self._handler(request.method)
            params = self._params(request.method, raw)
        except LspError as error:
            self.refuse(request.id, error)
            return
        if request.method == types.INITIALIZE:
            self._stage = Stage.INITIALIZING
        elif request.method == types.SHUTDOWN:
            self._stage = Stage.SHUT_DOWN
        contextvars.copy_context().run(self._start_request, request, handler, params)

    def _check_phase(self, method: str) -> None:
        if self._stage is Stage.SHUT_DOWN:
            raise InvalidRequestError("The server was shut down; only exit may follow.")
        if method == types.INITIALIZE:
            if self._stage is not Stage.NEW:
                raise InvalidRequestError("The server is initialized already.")
        elif self._stage is not Stage.RUNNING:
            raise UninitializedError("The server is not initialized yet.")

    def _handler(self, method: str) -> Handler:
        """The built-in handler, which calls the registered one, or the registered one."""
        handler = self.fm.builtin_features.get(method) or self.fm.features.get(method)
        if handler is None:
            raise UnknownMethodError(f"There is no method {method:.100}.")
        return handler  # type: ignore[no-any-return]

    def _params(self, method: str, raw: Any) -> Any:
        kind = self.params_type(method)
        if kind is None:
            return raw if method not in types.METHOD_TO_TYPES else None
        if method == types.INITIALIZE:
            raw = without_unread_capabilities(raw)
        return structure(self._converter, {} if raw is None else raw, kind, method)

    def params_type(self, method: str) -> type[Any] | None:
        """What the parameters of `method` are structured as; None leaves them plain JSON."""
        known: Any = types.METHOD_TO_TYPES.get(method)
        return known[2] if known else None

    def prepare(self, params: Any) -> None:
        """Called in the message's own context before its handler starts. See server.py."""

    def _start_request(self, request: _Request, handler: Handler, params: Any) -> None:
        self._ctx_msg_id.set(request.id)
        try:
            self.prepare(params)
            outcome = self._call(handler, params)
        except Exception as error:
            self._conclude(request, error=error)
            return
        if not inspect.isawaitable(outcome):
            self._conclude(request, outcome)
            return
        task = asyncio.ensure_future(outcome)
        self._running[request.id] = task
        task.add_done_callback(partial(self._finish, request))

    def _finish(self, request: _Request, task: asyncio.Task[Any]) -> None:
        cancelled = task.cancelled()
        error = None if cancelled else task.exception()
        if self._running.get(request.id) is not task:
            return  # answered already, when it was cancelled
        del self._running[request.id]
        if cancelled:
            self.refuse(request.id, CancelledRequestError("The request was cancelled."))
        else:
            self._conclude(request, None if error else task.result(), error)

    def _conclude(
        self, request: _Request, result: Any = None, error: BaseException | None = None
    ) -> None:
        """Send the one reply. A result that can't be sent is an internal error."""
        if error is None:
            try:
                reply = _encode(
                    {
                        "jsonrpc": "2.0",
                        "id": request.id,
                        "result": self._converter.unstructure(result),
                    }
                )
            except Exception as failure:
                error = failure
        if request.method == types.INITIALIZE:
            self._stage = Stage.NEW if error else Stage.RUNNING
        if error is None:
            self._send_body(reply)
        elif isinstance(error, LspError):
            self.refuse(request.id, error)
        else:
            logger.error("%s failed.", request.method, exc_info=error)
            self.refuse(request.id, InternalError(INTERNAL))

    def _cancel(self, message_id: Any) -> None:
        """The reply leaves now, not when the handler has cleaned up. Unknown ids are ignored: the
        reply may have crossed the cancellation."""
        task = self._running.pop(message_id, None) if _is_id(message_id) else None
        if task is not None:
            task.cancel()
            self.refuse(message_id, CancelledRequestError("The request was cancelled."))

    def cancel_everything(self) -> None:
        """Cancel and answer all that runs, and stop waiting for the client's answers."""
        for message_id in tuple(self._running):
            self._cancel(message_id)
        for task in tuple(self._background):
            task.cancel()
        self._questions.give_up()

    # --- notifications --------------------------------------------------------------------------

    def _receive_notification(self, method: str, raw: Any) -> None:
        if method == types.EXIT:
            self._leave()
        elif self._stage is not Stage.RUNNING:
            logger.debug("Ignored %.100s: the session is not running.", method)
        elif method == types.CANCEL_REQUEST:
            self._cancel(raw.get("id") if isinstance(raw, dict) else None)
        else:
            self._handle_notification(method, raw)

    def _leave(self) -> None:
        if self.link is not None:
            self.link.leave(self.exit_code())

    def exit_code(self) -> int:
        """0 after shutdown, 1 without, as LSP has it."""
        return 0 if self._stage is Stage.SHUT_DOWN else 1

    def _handle_notification(self, method_name: str, params: Any) -> None:
        try:
            handler = self._handler(method_name)
            structured = self._params(method_name, params)
        except UnknownMethodError:
            if not method_name.startswith("$/"):
                logger.info("Ignored the unknown notification %.100s.", method_name)
        except InvalidParamsError as error:
            logger.warning("Ignored a notification. %s", error)
            self.unreadable(method_name, params)
        else:
            context = contextvars.copy_context()
            context.run(self._start_notification, method_name, handler, structured)

    def unreadable(self, method: str, raw: Any) -> None:
        """A notification was lost because its parameters are no good. See server.py."""

    def _start_notification(self, method: str, handler: Handler, params: Any) -> None:
        try:
            self.prepare(params)
            outcome = self._call(handler, params)
        except Exception:
            logger.exception("%s failed.", method)
            return
        if inspect.isawaitable(outcome):
            task = asyncio.ensure_future(outcome)
            self._background.add(task)
            task.add_done_callback(partial(self._finish_notification, method))

    def _finish_notification(self, method: str, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed.", method, exc_info=error)

    # --- calling handlers -----------------------------------------------------------------------

    def _call(self, handler: Handler, params: Any) -> Any:
        """The handler's result, or something to await for it.

        pygls's built-in handlers are generators that yield the registered handler to be called. All
        that need not wait runs at once, so that effects keep the order of the messages.
        """
        outcome = handler(params)
        return self._step(outcome, None) if inspect.isgenerator(outcome) else outcome

    def _step(self, steps: Generator[Any, Any, Any], value: Any) -> Any:
        try:
            while True:
                handler, args, kwargs = steps.send(value)
                value = handler(*args, **(kwargs or {}))
                if inspect.isawaitable(value):
                    return self._step_later(steps, value)
        except StopIteration as stop:
            return stop.value

    async def _step_later(self, steps: Generator[Any, Any, Any], waiting: Any) -> Any:
        outcome = self._step(steps, await waiting)
        return await outcome if inspect.isawaitable(outcome) else outcome

    # --- what is sent ---------------------------------------------------------------------------

    def _send(self, message: dict[str, Any]) -> None:
        self._send_body(_encode(message))

    def _send_body(self, body: bytes) -> None:
        if self.link is not None:
            self.link.send(body)

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        fields = self._converter.unstructure(params)
        self._send({"jsonrpc": "2.0", "method": method, "params": fields})

    def send_request(
        self,
        method: str,
        params: Any = None,
        callback: Callable[[Any], None] | None = None,
        msg_id: MessageId | None = None,
    ) -> Future[Any]:
        """Ask the client. The future ends with the typed result or with ClientRefusedError."""
        message_id, future = self._questions.add(method, callback, msg_id)
        fields = self._converter.unstructure(params)
        self._send({"jsonrpc": "2.0", "id": message_id, "method": method, "params": fields})
        return future


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _encode(message: dict[str, Any]) -> bytes:
    # ASCII only: a lone surrogate in a text must not break the byte stream.
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
