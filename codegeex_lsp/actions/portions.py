"""A long passage in portions that a model can take: whole definitions, as many as fit.

Where a single definition is too long the passage is refused; half a function would be translated or
explained wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator

from codegeex_lsp.actions.passage import Passage, width
from codegeex_lsp.actions.plan import Refusal


def portions(passage: Passage, limit: int) -> list[Passage]:
    """The passage in order, each portion at most `limit` characters of code.

    Raises Refusal when a definition has more, or when there is no code at all.
    """
    if passage.is_blank:
        raise Refusal("There is no code in the selection; select some.")
    found: list[Passage] = []
    for unit in units(passage):
        if len(unit.code) > limit:
            raise Refusal(
                f"The code from line {unit.first + 1} to {unit.last + 1} has {len(unit.code)} "
                f"characters, and the model can take {limit} at once; select less."
            )
        joined = found and Passage(passage.snapshot, found[-1].first, unit.last)
        if joined and len(joined.code) <= limit:
            found[-1] = joined
        else:
            found.append(unit)
    return found


def units(passage: Passage) -> Iterator[Passage]:
    """Definitions and what stands between them: new ones begin behind a blank line, at the
    passage's own indentation."""
    lines = passage.lines
    outer = min(width(line) for line in lines if line.strip())
    begin = 0
    for number in range(1, len(lines)):
        starts = lines[number].strip() and width(lines[number]) <= outer
        if starts and not lines[number - 1].strip():
            yield _trimmed(passage, begin, number - 1)
            begin = number
    yield _trimmed(passage, begin, len(lines) - 1)


def _trimmed(passage: Passage, begin: int, end: int) -> Passage:
    lines = passage.lines
    while end > begin and not lines[end].strip():
        end -= 1
    return Passage(passage.snapshot, passage.first + begin, passage.first + end)
