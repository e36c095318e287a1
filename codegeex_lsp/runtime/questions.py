"""The questions that a runtime has yet to answer, each with the patience there is for it.

It knows no socket and starts nothing. client.py sends what is asked and brings what came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from model_runtime.wire.protocol import (
    Chunk,
    Embed,
    Embedding,
    Failure,
    Generate,
    Message,
    Priority,
    Reason,
    Result,
    StatusQuery,
    StatusReport,
)

Asked = Generate | Embed | StatusQuery
Answer = Result | Embedding | StatusReport | Failure
Hear = Callable[[Chunk], None]

# A large model on a CPU takes minutes for a long answer, an embedding model is loaded first, and
# what nobody waits for lets others pass. The status comes from a loop that waits for nothing.
PATIENCE_S = {Priority.INTERACTIVE: 300.0, Priority.BATCH: 900.0}
STATUS_PATIENCE_S = 30.0


class OverdueError(Exception):
    """There was no answer in time. `silent`: nor did the runtime say anything else meanwhile."""

    def __init__(self, patience_s: float, *, silent: bool) -> None:
        super().__init__(f"The model runtime did not answer within {patience_s:g} seconds.")
        self.silent = silent


@dataclass(slots=True, eq=False)
class _Question:
    """`deadline` moves on with every piece of text that comes."""

    answer: asyncio.Future[Answer]
    patience_s: float
    hear: Hear | None
    deadline: asyncio.Timeout


class Questions:
    """Those that are open, by their ids."""

    def __init__(self) -> None:
        self._open: dict[int, _Question] = {}
        self._heard = 0.0

    async def answer(self, asked: Asked, hear: Hear | None = None) -> Answer:
        """What take() brings for it; its chunks go to `hear`. Raises OverdueError."""
        loop = asyncio.get_running_loop()
        began, patience_s = loop.time(), _patience_s(asked)
        try:
            async with asyncio.timeout(patience_s) as deadline:
                question = _Question(loop.create_future(), patience_s, hear, deadline)
                self._open[asked.id] = question
                return await question.answer
        except TimeoutError:
            raise OverdueError(patience_s, silent=self._heard < began) from None
        finally:
            self._open.pop(asked.id, None)

    def take(self, message: Message) -> None:
        """Anything that the runtime said."""
        now = self._heard = asyncio.get_running_loop().time()
        if not isinstance(message, Chunk | Answer):
            return
        question = self._open.get(message.id)
        if question is None or question.answer.done() or question.deadline.expired():
            return
        if not isinstance(message, Chunk):
            question.answer.set_result(message)
            return
        question.deadline.reschedule(now + question.patience_s)
        if question.hear is not None:
            question.hear(message)

    def end(self, reason: Reason) -> None:
        """Nothing will come any more."""
        for number, question in self._open.items():
            if not question.answer.done():
                question.answer.set_result(Failure(number, reason.value))


def _patience_s(asked: Asked) -> float:
    if isinstance(asked, StatusQuery):
        return STATUS_PATIENCE_S
    return PATIENCE_S[
        Priority.INTERACTIVE if asked.priority <= Priority.INTERACTIVE else Priority.BATCH
    ]
