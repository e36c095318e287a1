"""The peer: pygls 2.1.1 as it comes, with the one handler an inline completion server needs."""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("bare", "1")


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
async def inline_completion(
    ls: LanguageServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    place = types.Range(params.position, params.position)
    return types.InlineCompletionList([types.InlineCompletionItem("answer()", range=place)])


if __name__ == "__main__":
    server.start_io()
