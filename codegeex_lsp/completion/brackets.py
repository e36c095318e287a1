"""Which brackets and quotes of a piece of code have no partner inside it.

Reads characters, not grammar: one line's string literals are skipped, comments aren't. Called by
postprocess.py and cache.py, which both have to live with closers the editor typed by itself.
"""

from __future__ import annotations

import re

CLOSER_OF = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(CLOSER_OF.values())
QUOTES = frozenset("\"'`")

_LITERAL = re.compile(r"""(["'`])(?:\\.|(?!\1)[^\\\n])*\1""")


def without_literals(text: str) -> str:
    """The text with each one-line string literal blanked out, every index unchanged."""
    return _LITERAL.sub(lambda literal: " " * len(literal[0]), text)


def unmatched(text: str) -> tuple[list[int], list[str]]:
    """Indices of the closers that close nothing in `text`, and the closers it leaves wanting.

    The second list runs outermost first: "f(a[" wants [")", "]"].
    """
    surplus: list[int] = []
    wanted: list[str] = []
    for index, character in enumerate(without_literals(text)):
        if closer := CLOSER_OF.get(character):
            wanted.append(closer)
        elif character in CLOSERS:
            if wanted and wanted[-1] == character:
                wanted.pop()
            else:
                surplus.append(index)
    return surplus, wanted


def auto_closed(typed: str) -> str:
    """What an editor puts after the cursor by itself while `typed` is typed: f(["a -> "])."""
    _, wanted = unmatched(typed)
    return _open_quote(typed) + "".join(reversed(wanted))


def until_closer(text: str, closer: str) -> str:
    """The part of `text` before the first `closer` that has no partner in it."""
    if closer in QUOTES:
        return text.partition(closer)[0]
    surplus, _ = unmatched(text)
    end = next((index for index in surplus if text[index] == closer), len(text))
    return text[:end]


def _open_quote(text: str) -> str:
    rest = without_literals(text).rpartition("\n")[2]
    return next((character for character in rest if character in QUOTES), "")
