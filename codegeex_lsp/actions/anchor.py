"""Where a change belongs after its document was edited meanwhile.

A change may only go where the lines it was made for still stand, whole and unambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegeex_lsp.actions.passage import Passage, bare
from codegeex_lsp.actions.plan import Change
from codegeex_lsp.text.documents import Snapshot


def moved(change: Change, current: Snapshot) -> Change | None:
    """The change for `current`, or None when its lines are no longer there as they were.

    Edits above or below shift it. Where equal lines stand elsewhere too, those count that the edits
    can have moved: what is before them is as it was, or what is behind them.
    """
    passage = change.passage
    if current is passage.snapshot:
        return change
    old = [bare(line) for line in passage.snapshot.lines]
    new = [bare(line) for line in current.lines]
    anchor = old[passage.first : passage.last + 1]
    shift = _shift(old, new, passage)
    if shift is None:
        places = _places(new, anchor)
        if len(places) != 1:
            return None
        shift = places[0] - passage.first
    there = Passage(current, passage.first + shift, passage.last + shift)
    return replace(change, passage=there, first=change.first + shift, last=change.last + shift)


def _shift(old: list[str], new: list[str], passage: Passage) -> int | None:
    """By how many lines one edited stretch above or below moved the passage; None if it touched
    it."""
    same = min(len(old), len(new))
    above = next((n for n in range(same) if old[n] != new[n]), same)
    if above > passage.last:
        return 0
    below = next((n for n in range(same) if old[-1 - n] != new[-1 - n]), same)
    if below >= len(old) - passage.first:
        return len(new) - len(old)
    return None


def _places(lines: Sequence[str], wanted: Sequence[str]) -> list[int]:
    if not any(line.strip() for line in wanted):
        return []
    last = len(lines) - len(wanted)
    return [n for n in range(last + 1) if list(lines[n : n + len(wanted)]) == list(wanted)]
