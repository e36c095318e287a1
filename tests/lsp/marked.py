"""Documents written down with a mark for the cursor: "def f(‸):"."""

from __future__ import annotations

from codegeex_lsp.completion import context as contexts
from codegeex_lsp.completion.context import Context
from codegeex_lsp.text import languages
from codegeex_lsp.text.documents import Position, Snapshot

MARK = "‸"


def place(text: str, language_id: str = "python") -> tuple[Snapshot, Position]:
    """The document without the mark, and where the mark stood."""
    before, mark, after = text.partition(MARK)
    assert mark, "the text has no cursor mark"
    snapshot = Snapshot.of("file:///project/file", 1, language_id, before + after)
    lines = Snapshot.of("file:///project/before", 1, language_id, before).lines
    return snapshot, Position(len(lines) - 1, len(lines[-1]))


def context_of(text: str, language_id: str = "python", budget: int = 6000) -> Context:
    snapshot, position = place(text, language_id)
    return contexts.cut(snapshot, position, budget, languages.of(language_id, ""))
