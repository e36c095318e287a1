"""A place in the workspace: what the index answers with, in both processes."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Lines `first` to `last` of a file, both counted from 0 and included.

    `title` is one line for people, `text` the lines with "\\n" between them; a higher `score` is
    better, and scores of different questions don't compare.
    """

    path: str
    first: int
    last: int
    title: str
    text: str
    score: float

    def plain(self) -> list[Any]:
        """For JSON; Place(*plain) is the place again."""
        return list(astuple(self))
