"""How good a completion of one line is, beside the text that really stands there."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from benchmarks.cursors import Cursor
from codegeex_lsp.completion.brackets import QUOTES, auto_closed, unmatched, without_literals

RIGHT_TOKENS = 3


@dataclass(frozen=True)
class Verdict:
    """`exact` is the rest of the line, blanks at both ends aside. `prefix` is the share of it that
    is right before the first wrong character, `similarity` the matching share of both texts.
    `neutral` says that the text adds no error of brackets, quotes or (Python) grammar, `repeats`
    that it is the next line. `begins_right` says that its first three tokens are right.
    """

    exact: bool
    prefix: float
    similarity: float
    neutral: bool
    repeats: bool
    begins_right: bool


def judge(text: str, cursor: Cursor, tokens: list[str]) -> Verdict:
    """`tokens` are the pieces of `text`, however the model cuts it."""
    written, gold = text.strip(), cursor.gold.strip()
    right = _common(written, gold)
    begun = "".join(tokens[:RIGHT_TOKENS]).strip()
    return Verdict(
        exact=written == gold,
        prefix=right / max(1, len(gold)),
        similarity=SequenceMatcher(None, written, gold, autojunk=False).ratio(),
        neutral=_neutral(text, cursor),
        repeats=bool(written) and written == _next_line(cursor),
        begins_right=bool(begun) and gold.startswith(begun),
    )


def _common(one: str, other: str) -> int:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))


def _next_line(cursor: Cursor) -> str:
    return next((line.strip() for line in cursor.suffix.split("\n") if line.strip()), "")


def _neutral(text: str, cursor: Cursor) -> bool:
    """Whether the file has no more errors with the text than without it or with the true one.

    What the text opens may be closed behind it, as editors do, and a block's body may be missing.
    """
    allowed = max(_errors(cursor, ""), _errors(cursor, cursor.gold))
    closed = text + auto_closed(text)
    with_body = f"{text} pass" if text.rstrip().endswith(":") else text
    return any(_errors(cursor, one) <= allowed for one in (text, closed, with_body))


@lru_cache(maxsize=1000)
def _errors(cursor: Cursor, text: str) -> int:
    """Brackets without a partner and open quotes in the file; in Python also whether it parses."""
    whole = cursor.prefix + text + cursor.suffix
    unpaired = sum(map(len, unmatched(whole)))
    line = without_literals(cursor.prefix.rpartition("\n")[2] + text)
    quotes = sum(line.count(quote) % 2 for quote in QUOTES)
    return unpaired + quotes + (cursor.language == "Python" and not _parses(whole))


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
