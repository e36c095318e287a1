"""Completion without a model: what stood behind the same text elsewhere in the file.

Pure text. It takes the longest end of the text before the cursor that also stands elsewhere in the
file and proposes the rest of the line there. It is what models are compared with.

Measured 2026-11-20 on 1,500 cursors at random places of random lines (300 each in the Python
standard library, Python packages, C and C++, JavaScript, Perl and shell), the rest of the line
taken out and up to 12 kB before and 4 kB after the cursor given; "exact" is the rest of the line,
nothing more and nothing less:

    characters in the match,     proposed    exact when    exact of
    blanks not counted                       proposed      all cursors
                      4              44.1 %        42.4 %         18.7 %
                      6              36.8 %        45.3 %         16.7 %
                      8              30.7 %        48.8 %         15.0 %
                     10              26.5 %        50.5 %         13.4 %
                     12              22.7 %        54.3 %         12.3 %
                     16              16.9 %        60.2 %         10.2 %
                     24              11.2 %        67.9 %          7.6 %

One call took 15 us at the median and 0.2 ms at most.

Matches that occur several times and go on differently are not proposed: without that rule 8
characters give 39.1 % proposed, 40.2 % exact.
"""

from __future__ import annotations

MIN_MATCH = 8
# Longer matches don't make a better choice among places.
MAX_MATCH = 200
# How far around the cursor it looks; the whole search stays under a millisecond.
MAX_BEFORE = 20_000
MAX_AFTER = 20_000
# So many places of the longest match are compared on each side of the cursor.
MAX_PLACES = 8


def predict(prefix: str, suffix: str) -> str | None:
    """The rest of the current line, or None when nothing in the file says it with some certainty.

    Where text stands behind the cursor in its line, the proposal goes before that text and doesn't
    repeat it.
    """
    prefix, suffix = prefix[-MAX_BEFORE:], suffix[:MAX_AFTER]
    length = _longest_match(prefix, suffix)
    match = prefix[len(prefix) - length :]
    if len("".join(match.split())) < MIN_MATCH:
        return None
    continuations = _continuations(match, prefix, suffix)
    if len(continuations) != 1:
        return None
    return _not_repeating(continuations.pop(), suffix)


def _longest_match(prefix: str, suffix: str) -> int:
    """The length of the longest end of `prefix` that stands elsewhere; 0 when below MIN_MATCH.

    By bisection: where a longer end stands, every shorter one does.
    """
    known, limit = MIN_MATCH - 1, min(MAX_MATCH, len(prefix))
    if limit < MIN_MATCH or not _stands_elsewhere(prefix[-MIN_MATCH:], prefix, suffix):
        return 0
    while known < limit:
        length = (known + limit + 1) // 2
        if _stands_elsewhere(prefix[-length:], prefix, suffix):
            known = length
        else:
            limit = length - 1
    return known


def _stands_elsewhere(match: str, prefix: str, suffix: str) -> bool:
    return prefix.find(match, 0, len(prefix) - 1) >= 0 or match in suffix


def _continuations(match: str, prefix: str, suffix: str) -> set[str]:
    """The different rests of a line behind the places where `match` stands."""
    found = set()
    end = len(prefix) - 1
    for _ in range(MAX_PLACES):
        place = prefix.rfind(match, 0, end)
        if place < 0:
            break
        found.add(_rest_of_line(prefix, place + len(match)))
        end = place + len(match) - 1
    place = -1
    for _ in range(MAX_PLACES):
        place = suffix.find(match, place + 1)
        if place < 0:
            break
        found.add(_rest_of_line(suffix, place + len(match)))
    return found


def _rest_of_line(text: str, begin: int) -> str:
    end = text.find("\n", begin)
    return text[begin : len(text) if end < 0 else end].rstrip()


def _not_repeating(continuation: str, suffix: str) -> str | None:
    """The continuation without what already stands behind the cursor; None when that is all."""
    behind = _rest_of_line(suffix, 0)
    if behind.strip():
        if not continuation.endswith(behind):
            return None
        continuation = continuation[: len(continuation) - len(behind)]
    fresh = continuation.strip()
    if not fresh or suffix.lstrip().startswith(fresh):
        return None
    return continuation
