"""textDocument/completion: the same suggestions as menu entries, for clients without ghost text."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.lsp import convert
from codegeex_lsp.window.session import Session


async def handle(session: Session, params: types.CompletionParams) -> types.CompletionList:
    snapshot = session.server.snapshot_for(params)
    if snapshot is None:
        return types.CompletionList(is_incomplete=False, items=[])
    encoding = session.server.encoding
    cursor = convert.position(params.position, snapshot, encoding)
    whole, position = session.with_cells_above(snapshot, cursor)
    answer = await session.completer.complete(whole, position, invoked=False, document=snapshot)
    session.answered()
    replacements = [
        convert.Replacement(suggestion.text, cursor, cursor) for suggestion in answer.suggestions
    ]
    return convert.completion_list(replacements, snapshot, encoding)
