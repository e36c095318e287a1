"""textDocument/inlineCompletion: ghost text, always with an explicit range.

Automatic requests get one quick candidate, invoked ones several. An empty list has a reason, told
by codegeex/why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lsprotocol import types

from codegeex_lsp.lsp import convert
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.window.postponed import MODEL_MISSING, Postponed
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Reason

INVOKED = types.InlineCompletionTriggerKind.Invoked


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where to complete: in the document as it would be with `chosen` put from `start` on."""

    snapshot: Snapshot
    position: Position
    start: Position
    chosen: str = ""


async def handle(
    session: Session, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    snapshot = session.server.snapshot_for(params)
    if snapshot is None:
        return types.InlineCompletionList([])
    encoding = session.server.encoding
    cursor = convert.position(params.position, snapshot, encoding)
    place = _place(snapshot, cursor, params.context.selected_completion_info, session)
    whole, position = session.with_cells_above(place.snapshot, place.position)
    answer = await session.completer.complete(
        whole,
        position,
        invoked=params.context.trigger_kind == INVOKED,
        document=snapshot,
    )
    session.answered()
    if answer.reason is not Reason.SUPERSEDED:  # its place was taken by what was asked later
        asked = Postponed(snapshot.uri, snapshot.version, cursor, params.context.trigger_kind)
        session.postponed = asked if answer.reason in MODEL_MISSING else None
    replacements = [
        convert.Replacement(place.chosen + suggestion.text, place.start, cursor)
        for suggestion in answer.suggestions
    ]
    return convert.inline_completions(replacements, snapshot, encoding)


def _place(
    snapshot: Snapshot,
    cursor: Position,
    selected: types.SelectedCompletionInfo | None,
    session: Session,
) -> _Cursor:
    """With an entry selected in the menu, complete what would stand there if it were accepted.

    Editors show ghost text beside a menu only when it begins with the selected entry.
    """
    if selected is None or "\n" in selected.text:
        return _Cursor(snapshot, cursor, cursor)
    start, _ = convert.span(selected.range, snapshot, session.server.encoding)
    if start.line != cursor.line or start > cursor:
        return _Cursor(snapshot, cursor, cursor)
    line = snapshot.lines[cursor.line]
    lines = list(snapshot.lines)
    lines[cursor.line] = line[: start.column] + selected.text + line[cursor.column :]
    grown = len(lines[cursor.line]) - len(line)
    accepted = replace(snapshot, lines=lines, size=snapshot.size + grown)
    end = Position(cursor.line, start.column + len(selected.text))
    return _Cursor(accepted, end, start, selected.text)
