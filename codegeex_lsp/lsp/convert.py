"""The only place where lsprotocol's types meet ours: positions, edits, completion items.

Functions without state. What depends on the client's position encoding takes it as an argument;
what depends on the text takes the snapshot the positions belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsprotocol import types

from codegeex_lsp.text.documents import (
    Edit,
    Position,
    PositionEncoding,
    Snapshot,
    UnitPosition,
    from_column,
    to_column,
)
from codegeex_lsp.text.notebooks import Cell

LABEL_LENGTH = 60
DETAIL = "CodeGeeX"

_WORD = re.compile(r"\w+$")


@dataclass(frozen=True, slots=True)
class Replacement:
    """Put `text` where `start` to `end` was; the two are equal to insert."""

    text: str
    start: Position
    end: Position


# --- from the client ----------------------------------------------------------------------------


def position(place: types.Position, snapshot: Snapshot, encoding: PositionEncoding) -> Position:
    """The place in `snapshot` that the client means, clamped to the text."""
    if place.line >= len(snapshot.lines):
        return snapshot.clamp(Position(place.line, 0))
    return Position(place.line, to_column(snapshot.lines[place.line], place.character, encoding))


def span(
    area: types.Range, snapshot: Snapshot, encoding: PositionEncoding
) -> tuple[Position, Position]:
    """Start and end in `snapshot`, in this order."""
    start, end = sorted(
        (position(area.start, snapshot, encoding), position(area.end, snapshot, encoding))
    )
    return start, end


def edits(changes: Iterable[types.TextDocumentContentChangeEvent]) -> list[Edit]:
    """Content changes as the document store takes them."""
    return [_edit(change) for change in changes]


def _edit(change: types.TextDocumentContentChangeEvent) -> Edit:
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return Edit(change.text)
    return Edit(change.text, (_units(change.range.start), _units(change.range.end)))


def _units(place: types.Position) -> UnitPosition:
    return UnitPosition(place.line, place.character)


def cells(items: Iterable[types.NotebookCell]) -> tuple[Cell, ...]:
    """The cells of a notebook."""
    return tuple(Cell(item.document, item.kind == types.NotebookCellKind.Code) for item in items)


# --- to the client ------------------------------------------------------------------------------


def wire_position(
    place: Position, snapshot: Snapshot, encoding: PositionEncoding
) -> types.Position:
    """`place` as the client counts; clamped to the text of `snapshot`."""
    place = snapshot.clamp(place)
    return types.Position(
        place.line, from_column(snapshot.lines[place.line], place.column, encoding)
    )


def wire_range(
    start: Position, end: Position, snapshot: Snapshot, encoding: PositionEncoding
) -> types.Range:
    """The range from `start` to `end`."""
    return types.Range(
        wire_position(start, snapshot, encoding), wire_position(end, snapshot, encoding)
    )


def text_edit(
    replacement: Replacement, snapshot: Snapshot, encoding: PositionEncoding
) -> types.TextEdit:
    """An edit of a code action or a completion."""
    area = wire_range(replacement.start, replacement.end, snapshot, encoding)
    return types.TextEdit(area, replacement.text)


def inline_completions(
    replacements: Sequence[Replacement], snapshot: Snapshot, encoding: PositionEncoding
) -> types.InlineCompletionList:
    """Ghost text, best first. The range is always explicit: without one, clients guess the word."""
    return types.InlineCompletionList(
        [
            types.InlineCompletionItem(
                insert_text=replacement.text,
                range=wire_range(replacement.start, replacement.end, snapshot, encoding),
            )
            for replacement in replacements
        ]
    )


def completion_list(
    replacements: Sequence[Replacement], snapshot: Snapshot, encoding: PositionEncoding
) -> types.CompletionList:
    """The same for clients without ghost text, as entries of the completion menu.

    The list says it is incomplete, so that the client asks again while typing goes on.
    """
    return types.CompletionList(
        is_incomplete=True,
        items=[
            _completion_item(rank, replacement, snapshot, encoding)
            for rank, replacement in enumerate(replacements)
        ],
    )


def _completion_item(
    rank: int, replacement: Replacement, snapshot: Snapshot, encoding: PositionEncoding
) -> types.CompletionItem:
    return types.CompletionItem(
        label=_label(replacement.text),
        kind=types.CompletionItemKind.Text,
        detail=DETAIL,
        documentation=replacement.text,
        filter_text=_filter_text(replacement, snapshot),
        sort_text=f"{rank:02}",
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=text_edit(replacement, snapshot, encoding),
    )


def _filter_text(replacement: Replacement, snapshot: Snapshot) -> str:
    """What clients compare with the word at the cursor, to hide entries: it always begins so."""
    line_start = Position(replacement.start.line, 0)
    word = _WORD.search(snapshot.between(line_start, replacement.start))
    typed = snapshot.between(replacement.start, replacement.end)
    text = replacement.text if replacement.text.startswith(typed) else typed + replacement.text
    return (word[0] if word else "") + text


def _label(text: str) -> str:
    """The first line that says something, cut to the width of a menu."""
    first, *others = text.strip().splitlines() or [""]
    if len(first) > LABEL_LENGTH or others:
        return first[:LABEL_LENGTH].rstrip() + " …"
    return first
