"""Vectors for the index's places and for questions, made by the runtime's embedding model.

The index's process knows which places lack one, and the runtime's makes them: here is the way
between both, a few texts at a time, while nobody types and never for more than half of the time.
Nothing is lost when a runtime goes; the next one goes on. Knows no LSP. retrieval.py owns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from codegeex_lsp.runtime.client import Phase, RuntimeClient, Unanswered
from codegeex_lsp.runtime.reasons import sentence
from codegeex_lsp.workspace.index_client import NO_VECTOR, IndexClient, NoIndexError, Vector
from model_runtime.wire.protocol import Priority

# 16 places of the standard library are 2,000 tokens: 5 s for an encoder of 110 M parameters on one
# core, in steps of 0.3 s, between which what somebody waits for is done.
AT_ONCE = 16
QUIET_S = 2.0
# When nothing happens that says that it may work again.
TRY_AGAIN_S = 60.0
# Somebody waits for the search; loading the embedding model takes longer, and is over next time.
PATIENCE_S = 2.0
QUESTION = "search"

SLOW = "The embedding model took too long; these places were found by words alone."
NOT_YET = "Not all places have a vector yet; those were found by words alone."


class IndexVectors:
    """Does nothing where the user's settings name no embedding model, nor while it isn't `allowed`:
    the index may be turned off."""

    def __init__(
        self, runtime: RuntimeClient, index: IndexClient, allowed: Callable[[], bool]
    ) -> None:
        self._runtime = runtime
        self._index = index
        self._allowed = allowed
        self._complete = False
        self._wake = asyncio.Event()
        self._typed = 0.0
        self._life: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> bool:
        return bool(self._runtime.trusted.embedding_model)

    def start(self) -> None:
        """Once; never waits."""
        if self.wanted and self._life is None:
            self._life = asyncio.create_task(self._live())

    async def close(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    def look(self) -> None:
        """The runtime or the index is another than before."""
        self._wake.set()

    def typed(self) -> None:
        """A document was opened or edited."""
        self._typed = time.monotonic()
        self._wake.set()

    async def of_question(self, question: str) -> tuple[Vector, str]:
        """The question's vector; or NO_VECTOR and a sentence that says why there is none."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                made = await self._runtime.embed((question,), Priority.INTERACTIVE, QUESTION)
        except TimeoutError:
            return NO_VECTOR, SLOW
        except Unanswered as silence:
            why = silence.detail or sentence(silence.reason)
            return NO_VECTOR, f"{why} These places were found by words alone."
        return Vector(made.model, made.vectors), "" if self._complete else NOT_YET

    async def _live(self) -> None:
        while True:
            with contextlib.suppress(Unanswered, NoIndexError):
                await self._catch_up()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TRY_AGAIN_S)
            self._wake.clear()
            await self._quiet()

    async def _catch_up(self) -> None:
        """Until all places have a vector. A runtime is not started for it."""
        if self._runtime.state.phase is not Phase.READY or not self._allowed():
            return
        # Without a text the answer tells which model it is: the places' may be another's.
        model = (await self._runtime.embed(())).model
        while texts := await self._index.lacking(model, AT_ONCE):
            self._complete = False
            await self._quiet()
            begin = time.monotonic()
            if not self._allowed():
                return
            made = await self._runtime.embed([text for _, text in texts])
            if made.model != model:
                return  # the model's files are others now; the next time is theirs
            self._index.embedded(model, [key for key, _ in texts], made.vectors)
            await asyncio.sleep(time.monotonic() - begin)
        self._complete = True

    async def _quiet(self) -> None:
        """Until nobody has typed for a while; the index knows then what was typed."""
        while (rest := self._typed + QUIET_S - time.monotonic()) > 0:  # noqa: ASYNC110 - it moves
            await asyncio.sleep(rest)
