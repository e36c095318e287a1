"""Code and sentences to the words that are searched for: identifiers whole and in their parts.

"parseHTTPHeader" is found by "parseHTTPHeader", "parse", "http" and "header". Pure text.
"""

from __future__ import annotations

import re

# Parts of an identifier: HTTP in HTTPServer, Server, utf, 8.
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_IDENTIFIER = re.compile(r"\w+")
# Words that say nothing of what is looked for; each would be found in a great part of the chunks.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by for from if in into is it its of on or that the their this to "
        "was when which with self",
    )
)
LONGEST = 64
# More words cost time and hardly change the order of what is found.
MOST_ASKED = 48


def of_text(text: str) -> str:
    """All words in order, parts behind their whole, separated by blanks."""
    return " ".join(_words(text))


def asked(text: str) -> list[str]:
    """The different words of a question, without those that say nothing; [] when none is left."""
    found = dict.fromkeys(_words(text))
    telling = [word for word in found if word not in _EMPTY] or list(found)
    return telling[:MOST_ASKED]


def _words(text: str) -> list[str]:
    found = []
    for identifier in _IDENTIFIER.findall(text):
        if len(identifier) > LONGEST:
            continue
        parts = _PARTS.findall(identifier)
        if len(parts) != 1:
            found.append(identifier.strip("_").lower())
        found += [part.lower() for part in parts]
    return [word for word in found if word]
