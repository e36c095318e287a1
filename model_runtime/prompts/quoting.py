"""Pieces of other files in a prompt: which of them there is room for, and how they are quoted.

A family with marks for files writes them as files (fim.py); the others read them as comments above
the code, each below its path, since no published prompt of theirs has more than one file and
comments are what their training texts hold in such a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_runtime.prompts.pieces import MAX_CHARS_PER_TOKEN
from model_runtime.prompts.tags import comment
from model_runtime.wire.protocol import Snippet

if TYPE_CHECKING:
    from model_runtime.text.tokenizer import Tokenizer

# As much as the text behind the cursor has, so that half of a prompt is always the text before it,
# which says most. What is quoted changes every few lines and is then read anew with all that
# follows: of a long context no more than one computer without a GPU reads in some seconds.
SHARE = 4
MOST_TOKENS = 1024
# A quarter of less is a few lines, and the file's own lines say more.
LEAST_BUDGET = 1024


def fitting(
    snippets: tuple[Snippet, ...], language: str, tokenizer: Tokenizer, budget: int
) -> tuple[Snippet, ...]:
    """Those of them, each whole and in order, that fit into their share of `budget` together.

    They are counted as comments, which takes most. One that doesn't fit is passed over; a shorter
    one behind it may fit.
    """
    room = min(budget // SHARE, MOST_TOKENS) if budget >= LEAST_BUDGET else 0
    chosen: list[Snippet] = []
    for snippet in snippets:
        text = quoted((snippet,), language)
        if len(text) <= room * MAX_CHARS_PER_TOKEN:
            tokens = len(tokenizer.encode(text))
            if tokens <= room:
                chosen.append(snippet)
                room -= tokens
    return tuple(chosen)


def quoted(snippets: tuple[Snippet, ...], language: str) -> str:
    """As comments of that language, each below its path; "" for none."""
    texts = (f"{snippet.path}:\n{snippet.text}" for snippet in snippets)
    return "".join(comment(language, text) + "\n" for text in texts)
