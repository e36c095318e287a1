"""Which pieces of other files are sent along with a completion, chosen by the lines at the cursor.

A prompt's beginning must stay as it is while one types, or the model reads all of it again. So the
choice belongs to a part of the document and is made once for it, in the background: a completion
takes the choice there is. What stays chosen keeps its place. Knows no LSP and no prompts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from codegeex_lsp.index.places import Place
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.workspace.index_client import NoIndexError
from model_runtime.wire.protocol import Snippet

# The lines of one part of a document, and how many lines around its cursor say what is wanted.
PART_LINES = 16
ABOVE, BELOW = 24, 8
LINE_CHARACTERS = 400
# A prompt of 2,048 tokens has room for a quarter of them, one or two places; a memory takes all.
MOST_SNIPPETS = 8
SNIPPET_CHARACTERS = 2_000
DOCUMENTS_REMEMBERED = 64
# Code that somebody waits for may wait this long for what else is known.
PATIENCE_S = 0.5

# The code around, the document's URI and how many are wanted.
Ask = Callable[[str, str, int], Coroutine[None, None, list[Place]]]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was chosen for the part of a document that begins with line `part` * PART_LINES."""

    part: int
    snippets: tuple[Snippet, ...] = ()


class Snippets:
    """The choices of one window. `ask` finds places in other files; `shown` names their paths."""

    def __init__(self, ask: Ask, shown: Callable[[str], str]) -> None:
        self._ask = ask
        self._shown = shown
        self._choices: OrderedDict[str, _Choice] = OrderedDict()
        self._choosing: dict[str, asyncio.Task[None]] = {}

    def near(self, snapshot: Snapshot, position: Position) -> tuple[Snippet, ...]:
        """What is known now; a new choice for another part of the document is begun."""
        choice = self._choices.get(snapshot.uri, _Choice(-1))
        part = position.line // PART_LINES
        if choice.part != part and snapshot.uri not in self._choosing:
            work = asyncio.create_task(self._choose(snapshot, position, choice.snippets))
            self._choosing[snapshot.uri] = work
            work.add_done_callback(lambda _: self._choosing.pop(snapshot.uri, None))
        return choice.snippets

    async def asked(
        self, snapshot: Snapshot, position: Position, instruction: str
    ) -> tuple[Snippet, ...]:
        """For code that somebody asks for by `instruction`, or by the text at the cursor; () when
        none are found in time."""
        line = snapshot.lines[position.line][:LINE_CHARACTERS]
        text = "\n".join((instruction, line, around(snapshot, position)))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return self._snippets(await self._ask(text, snapshot.uri, MOST_SNIPPETS))
        except (NoIndexError, TimeoutError):
            return ()

    def forget(self, uri: str) -> None:
        """The document was closed."""
        if (work := self._choosing.get(uri)) is not None:
            work.cancel()
        self._choices.pop(uri, None)

    def forget_all(self) -> None:
        """What was chosen may be another workspace's now, or left out."""
        for uri in {*self._choices, *self._choosing}:
            self.forget(uri)

    async def _choose(
        self, snapshot: Snapshot, position: Position, before: tuple[Snippet, ...]
    ) -> None:
        try:
            places = await self._ask(around(snapshot, position), snapshot.uri, MOST_SNIPPETS)
        except NoIndexError:
            return
        chosen = in_stable_order(before, self._snippets(places))
        self._choices[snapshot.uri] = _Choice(position.line // PART_LINES, chosen)
        self._choices.move_to_end(snapshot.uri)
        if len(self._choices) > DOCUMENTS_REMEMBERED:
            self._choices.popitem(last=False)

    def _snippets(self, places: list[Place]) -> tuple[Snippet, ...]:
        return tuple(
            Snippet(self._shown(place.path), place.text[:SNIPPET_CHARACTERS]) for place in places
        )


def in_stable_order(
    before: tuple[Snippet, ...], chosen: tuple[Snippet, ...]
) -> tuple[Snippet, ...]:
    """The chosen ones: those of before first and in their order, then the new ones."""
    kept = [snippet for snippet in before if snippet in chosen]
    return (*kept, *(snippet for snippet in chosen if snippet not in kept))


def around(snapshot: Snapshot, position: Position) -> str:
    """What the index is asked: the cursor's surroundings without the line being written."""
    lines = snapshot.lines
    above = lines[max(0, position.line - ABOVE) : position.line]
    below = lines[position.line + 1 : position.line + 1 + BELOW]
    # The nearest lines first: a question has so many words at most.
    return "\n".join(line[:LINE_CHARACTERS] for line in (*reversed(above), *below))
