"""What an action is: a generator that asks a model and returns what should happen.

    def plan() -> Plan:
        answers = yield Question(Task.TRANSLATE, code="x = 1", target="Go")
        return Change(place, answers[0])

The performer drives it. A plan raises Refusal when the request makes no sense or the answers are of
no use.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from codegeex_lsp.actions.passage import Passage
from codegeex_lsp.text.documents import Position, content_length
from model_runtime.wire.protocol import Task


class Refusal(Exception):  # noqa: N818 - something the user is told, no bug
    """One sentence: why there is no result and what to do."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask. `part` of `parts` is for the progress.

    `enough` tells from the text so far that the answer is complete. `varied` asks for several
    answers that differ; else there is one, the likeliest.
    """

    task: Task
    prefix: str = ""
    suffix: str = ""
    code: str = ""
    instruction: str = ""
    target: str = ""
    part: int = 1
    parts: int = 1
    varied: bool = False
    enough: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Put `lines` in place of the passage's lines `first` to `last`; before `first` if it is above
    `last`. They are lines of the document, indented, without endings."""

    passage: Passage
    first: int
    last: int
    lines: tuple[str, ...]
    note: str = ""

    def edit(self) -> tuple[str, Position, Position]:
        """The text, and where it replaces the document's."""
        snapshot, newline = self.passage.snapshot, self.passage.newline
        text = newline.join(self.lines)
        if self.first <= self.last:
            end = content_length(snapshot.lines[self.last])
            return text, Position(self.first, 0), Position(self.last, end)
        if self.first < len(snapshot.lines):
            place = Position(self.first, 0)
            return text + newline, place, place
        place = Position(self.first - 1, content_length(snapshot.lines[self.first - 1]))
        return newline + text, place, place


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document of its own, to be opened beside. `suffix` ends its file's name."""

    text: str
    suffix: str
    note: str = ""


Outcome = Change | Sheet
Plan = Generator[Question, tuple[str, ...], Outcome]
