"""The server's side of the index: starts its process, asks it, tells it what changes.

Nothing here waits for the index to be built: what it knows so far is what it answers. When the
process ends by itself its questions are answered with NoIndexError and the index is gone for this
session. Knows no LSP. Called by session.py and retrieval.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from codegeex_lsp.exclusion import values
from codegeex_lsp.index.places import Place

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "codegeex_lsp.index")
LEAVING_S = 2.0
STOPPED = "The index of the workspace was stopped; restart the editor to have it again."


class IndexPhase(StrEnum):
    OFF = "off"
    INDEXING = "indexing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class IndexState:
    """`left_out` counts by reason what the walk passed over; `message` is a sentence or empty."""

    phase: IndexPhase = IndexPhase.OFF
    message: str = ""
    files: int = 0
    chunks: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """For codegeex/status."""
        told = asdict(self)
        return {"phase": self.phase.value, "leftOut": told.pop("left_out"), **told}


@dataclass(frozen=True, slots=True)
class Vector:
    """A text's vector, as protocol.Embedding has it, and which model made it."""

    model: str
    numbers: bytes


NO_VECTOR = Vector("", b"")


class NoIndexError(Exception):
    """There is nothing to ask. str() is one sentence for the user."""


class IndexClient:
    """One index of one workspace, or none."""

    def __init__(self, on_state: Callable[[IndexState], None]) -> None:
        self.state = IndexState()
        self._on_state = on_state
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._unsent: list[bytes] = []  # said while the process was being started
        self._life: asyncio.Task[None] | None = None

    # --- its life -------------------------------------------------------------------------------

    def start(
        self, roots: Sequence[str], bounds: Mapping[str, int], exclude: Sequence[str] = ()
    ) -> None:
        """Once, and not again when it was closed; never waits."""
        if self._life is None:
            self._life = asyncio.create_task(self._live())
            self._become(IndexState(IndexPhase.INDEXING))
            self._send(do="begin", roots=list(roots), bounds=dict(bounds), exclude=list(exclude))

    async def close(self) -> None:
        """End the process; it leaves when its input does, at the latest after LEAVING_S."""
        if self._life is None:
            return
        self._become(IndexState(message=STOPPED))
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVING_S):
                    await self._process.wait()
        self._life.cancel()
        await asyncio.wait([self._life])

    async def _live(self) -> None:
        try:
            await self._serve()
        except OSError as error:
            self._lost(f"The index of the workspace could not be started: {error.strerror}.")
        else:
            self._lost("The index of the workspace ended; restart the editor to have it again.")
        finally:
            self._give_up()

    async def _serve(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # An answer is a line, however long. At a limit the pipe would no longer be read, and
            # the process's end never be seen.
            limit=sys.maxsize,
            # Not the editor's folder, which may be the workspace: nothing in it is to be run.
            cwd=Path(sys.prefix),
        )
        try:
            assert process.stdin is not None  # noqa: S101 - they are pipes
            assert process.stdout is not None  # noqa: S101
            self._process = process
            process.stdin.writelines(self._unsent)
            self._unsent.clear()
            async for line in process.stdout:
                self._take(json.loads(line))
        finally:
            self._process = None
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def _take(self, message: dict[str, Any]) -> None:
        if "phase" in message:
            if self._lives:
                self._become(IndexState(**{**message, "phase": IndexPhase(message["phase"])}))
            return
        if "trouble" in message:
            log.error("a step of the index failed: %s", message["trouble"])
            return
        future = self._pending.get(message["id"])
        if future is None or future.done():
            return
        if "failed" in message:
            future.set_exception(NoIndexError(message["failed"]))
        else:
            future.set_result(message)

    @property
    def _lives(self) -> bool:
        return self.state.phase in (IndexPhase.INDEXING, IndexPhase.READY)

    def _lost(self, sentence: str) -> None:
        if self._lives:
            self._become(IndexState(IndexPhase.FAILED, sentence))

    def _give_up(self) -> None:
        for future in self._pending.values():
            if not future.done():
                future.set_exception(NoIndexError(self.state.message))

    def _become(self, state: IndexState) -> None:
        if state != self.state:
            self.state = state
            self._on_state(state)

    # --- asking and telling ---------------------------------------------------------------------

    async def search(
        self, question: str, limit: int, under: str = "", vector: Vector = NO_VECTOR
    ) -> tuple[list[Place], bool]:
        """Places for a sentence or names, best first. `under` is a file's or a folder's path.

        Also says whether the question's vector helped: the places may have none of its model yet.
        Raises NoIndexError; cancelling the await cancels the search.
        """
        packed = base64.b64encode(vector.numbers).decode()
        answer = await self._ask(
            do="search",
            question=question,
            limit=limit,
            under=under,
            model=vector.model,
            vector=packed,
        )
        return _places(answer), bool(answer.get("by_vector"))

    async def alike(self, text: str, path: str, limit: int) -> list[Place]:
        """Places in files other than `path` that have to do with the code in `text`.

        As search().
        """
        return _places(await self._ask(do="alike", text=text, path=path, limit=limit))

    async def lacking(self, model: str, limit: int) -> list[tuple[str, str]]:
        """Keys and texts of some places without a vector of that model; [] when all have one.

        Raises NoIndexError.
        """
        answer = await self._ask(do="lacking", model=model, limit=limit)
        return [(key, text) for key, text in answer["texts"]]

    async def neighbours(
        self, path: str, limit: int, opened: Sequence[str]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """Paths and texts of files near `path` that are not `opened`, the nearest last; and how
        the opened ones would be spelled.

        The first time it waits for the index to be built. Raises NoIndexError.
        """
        question = {"path": path, "limit": limit, "opened": list(opened)}
        answer = await self._ask(do="neighbours", **question)
        return [(near, text) for near, text in answer["texts"]], answer["opened"]

    def move(self, roots: Sequence[str]) -> None:
        """The workspace has other folders now."""
        self._send(do="move", roots=list(roots))

    def embedded(self, model: str, keys: Sequence[str], vectors: bytes) -> None:
        """What the model made of the texts of those keys."""
        packed = base64.b64encode(vectors).decode()
        self._send(do="embedded", model=model, keys=list(keys), vectors=packed)

    def opened(self, path: str, text: str) -> None:
        """A document as it is in the editor, but for the secrets in it."""
        self._send(do="opened", path=path, text=values.without(text))

    def closed(self, path: str) -> None:
        self._send(do="closed", path=path)

    def exclude(self, globs: Sequence[str]) -> None:
        """The user's globs are others now."""
        self._send(do="exclude", globs=list(globs))

    def changed(self, paths: Sequence[str]) -> None:
        """Files were written, moved or deleted by somebody."""
        self._send(do="changed", paths=list(paths))

    async def _ask(self, **message: Any) -> dict[str, Any]:
        if not self._lives:
            raise NoIndexError(self.state.message or "There is no index of this workspace.")
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        self._send(id=number, **message)
        try:
            return await future
        except asyncio.CancelledError:
            self._send(do="cancel", id=number)
            raise
        finally:
            del self._pending[number]

    def _send(self, **message: Any) -> None:
        """Dropped when there is no index, or none any more."""
        if not self._lives:
            return
        # Half a surrogate pair, as while an emoji is typed, is no text that can be stored.
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line)
        else:
            self._unsent.append(line)


def _places(answer: dict[str, Any]) -> list[Place]:
    return [Place(*plain) for plain in answer.get("places", ())]
