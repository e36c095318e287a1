"""Secrets that begin as no other word does: services' tokens (shapes.toml), private keys, passwords
in URLs. Pure text, in linear time; values.py calls it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

Span = tuple[int, int]

# Of a longer value the rest is left, which opens nothing.
LONGEST = 4096


def _shapes() -> dict[str, re.Pattern[str]]:
    """Each beginning, and the pattern of the whole value."""
    place = Path(__file__).with_name("shapes.toml")
    return {
        begin: re.compile(rf"{re.escape(begin)}[{shape['of']}]{{{shape['least']},{LONGEST}}}")
        for shape in tomllib.loads(place.read_text(encoding="utf-8")).values()
        for begin in shape["begins"]
    }


_SHAPES = _shapes()
# A word that is long enough to hold one: looking for 70 beginnings in all of a text takes as long
# as everything else together.
_LONG_WORD = re.compile(r"[0-9A-Za-z_./-]{12,}")
_BEGIN = re.compile(
    rf"(?<![0-9A-Za-z_])(?:{'|'.join(map(re.escape, sorted(_SHAPES, key=len, reverse=True)))})"
)

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# Its lines, whatever stands around them in code, and headers before them. The last line may be
# short, and may not be typed yet.
_BEFORE = r"[ \t#/*\"'`+]{0,40}"
_BEHIND = r"(?:\\[nr]|[ \t\"'`+,;)\\\r]){0,20}"
_KEY_LINE = (
    rf"{_BEFORE}(?:(?:[A-Za-z0-9+/=]|\\[nr]){{0,{LONGEST}}}|[A-Z][\w-]{{1,40}}: [^\n]{{0,200}})"
    rf"{_BEHIND}"
)
_KEY_BODY = re.compile(rf"(?:{_KEY_LINE}(?=\n|\Z|-----END)\n?){{0,400}}")
# A piece of one whose beginning is far above.
_BARE_LINES = re.compile(
    rf"(?:\n{_BEFORE}[A-Za-z0-9+/=]{{60,100}}{_BEHIND}(?=\n|\Z))+"
    rf"(?:\n{_BEFORE}[A-Za-z0-9+/=]{{1,100}}{_BEHIND}(?=\n|\Z|-----END))?"
)
# In Base64 every sixth character is a digit, in a rule of signs or a long name next to none.
_DIGITS = 20

_URL = re.compile(r"://[^\s/:@\"'`<>]{0,100}:([^\s/@\"'`<>]{1,200})@")
# What stands for a value, as in "postgresql://app:${PASSWORD}@db".
_REFERENCE = re.compile(r"[$%{<].*|password|pass|pwd|secret|\*+|x+", re.IGNORECASE)


def tokens(text: str) -> Iterator[Span]:
    """Those of services."""
    for word in _LONG_WORD.finditer(text):
        last = 0
        for begin in _BEGIN.finditer(text, *word.span()):
            if begin.start() >= last and (whole := _SHAPES[begin[0]].match(text, begin.start())):
                last = whole.end()
                yield whole.span()


def keys(text: str) -> Iterator[Span]:
    """Private keys, also where a text begins or ends inside one; the words around them stay."""
    for begins in _KEY_BEGINS.finditer(text):
        if body := _KEY_BODY.match(text, begins.end()):
            yield body.span()
    for lines in _BARE_LINES.finditer("\n" + text):
        digits = sum(map(str.isdigit, lines[0]))
        if digits * _DIGITS >= len(lines[0]) and any(map(str.isalpha, lines[0])):
            yield max(0, lines.start() - 1), lines.end() - 1


def in_urls(text: str) -> Iterator[Span]:
    """The password of "postgresql://app:password@db"."""
    for match in _URL.finditer(text):
        if not _REFERENCE.fullmatch(match[1]):
            yield match.span(1)
