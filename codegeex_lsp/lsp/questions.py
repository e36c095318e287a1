"""Requests that the server has sent to the client and the answers it still waits for.

The mirror of the requests in rules.py, which owns the one instance and sends what is asked.
Each question ends once: answered, refused, or given up, after which a late answer goes unheard.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from codegeex_lsp.lsp.errors import ClientRefusedError, InternalError, InvalidParamsError
from codegeex_lsp.lsp.structuring import structure

if TYPE_CHECKING:
    from cattrs import Converter

logger = logging.getLogger(__name__)

MessageId = int | str


@dataclass(frozen=True, slots=True)
class _Open:
    method: str
    future: Future[Any]


class Questions:
    """The open questions by id."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._open: dict[MessageId, _Open] = {}
        self._ids = itertools.count(1)

    def __contains__(self, message_id: MessageId) -> bool:
        return message_id in self._open

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self, method: str, callback: Callable[[Any], None] | None, message_id: MessageId | None
    ) -> tuple[MessageId, Future[Any]]:
        """A new question. Its future ends with the typed result or with ClientRefusedError;
        cancelling the future gives the question up."""
        if message_id is None:
            message_id = next(self._ids)
        future: Future[Any] = Future()
        self._open[message_id] = _Open(method, future)
        future.add_done_callback(lambda _: self._open.pop(message_id, None))
        if callback is not None:
            future.add_done_callback(partial(_pass_on, callback))
        return message_id, future

    def answer(self, message_id: MessageId, message: dict[str, Any]) -> None:
        """The client's reply to the question `message_id`; ignored when nobody waits for it."""
        question = self._open.pop(message_id, None)
        if question is None:
            logger.debug("Ignored a reply that nobody waits for.")
        elif (problem := message.get("error")) is not None:
            code = problem.get("code") if isinstance(problem, dict) else None
            code = code if isinstance(code, int) else InternalError.code
            question.future.set_exception(ClientRefusedError(question.method, code))
        else:
            self._resolve(question, message.get("result"))

    def give_up(self) -> None:
        """Stop waiting for all answers."""
        for question in tuple(self._open.values()):
            question.future.cancel()

    def _resolve(self, question: _Open, result: Any) -> None:
        known = types.METHOD_TO_TYPES.get(question.method)
        reply_type: Any = known[1] if known else None
        if reply_type is None:
            question.future.set_result(result)
            return
        reply = {"jsonrpc": "2.0", "id": 0, "result": result}
        try:
            typed = structure(
                self._converter, reply, reply_type, f"the answer to {question.method}"
            )
        except InvalidParamsError as error:
            logger.warning("%s", error)
            question.future.set_exception(ClientRefusedError(question.method, error.code))
        else:
            question.future.set_result(typed.result)


def _pass_on(callback: Callable[[Any], None], future: Future[Any]) -> None:
    if not future.cancelled() and future.exception() is None:
        callback(future.result())
