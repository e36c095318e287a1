"""The values in a text that are secrets, by their shape, and the text without them. Pure text.

A value is taken out and nothing put in its place: `token = ""` is code, and no model learns to
write stars. Lines stay as many as they are. 400,000 characters of code take 20 ms, and nothing that
stands in a text makes it slower than linear. Called wherever a text leaves the open document: for
the runtime, for the index, and by the index for what it reads.
"""

from __future__ import annotations

from codegeex_lsp.exclusion import assigned, shapes
from codegeex_lsp.exclusion.shapes import Span


def found(text: str) -> list[Span]:
    """Where secrets stand, in order, none inside another."""
    spans = sorted(
        (
            *shapes.tokens(text),
            *shapes.keys(text),
            *shapes.in_urls(text),
            *assigned.secrets(text),
        )
    )
    whole: list[Span] = []
    for begin, end in spans:
        if whole and begin < whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((begin, end))
    return whole


def without(text: str) -> str:
    """The text without the secrets in it."""
    return _removed(text, spans) if (spans := found(text)) else text


def without_around(before: str, after: str) -> tuple[str, str]:
    """The same for the two sides of a cursor, which may stand in a secret."""
    text, cursor = before + after, len(before)
    if not (spans := found(text)):
        return before, after
    left = [(begin, min(end, cursor)) for begin, end in spans if begin < cursor]
    right = [(max(begin, cursor) - cursor, end - cursor) for begin, end in spans if end > cursor]
    return _removed(before, left), _removed(after, right)


def holds(text: str, place: int) -> bool:
    """Whether `place` is in a secret, or right behind one."""
    return any(begin < place <= end for begin, end in found(text))


def mostly(text: str) -> bool:
    """Whether at least half of the lines with something in them hold a secret, or a part of one."""
    lines = len([line for line in text.split("\n") if line.strip()])
    secret = sum(text.count("\n", begin, end) + 1 for begin, end in found(text))
    return 0 < lines <= 2 * secret


def _removed(text: str, spans: list[Span]) -> str:
    """The text without those pieces; the ends of lines in them stay."""
    kept: list[str] = []
    last = 0
    for begin, end in spans:
        kept += (text[last:begin], "\n" * text.count("\n", begin, end))
        last = end
    return "".join((*kept, text[last:]))
