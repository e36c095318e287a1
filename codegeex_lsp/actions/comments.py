"""Comments of any of the languages: written, recognized, and the one a cursor stands at."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegeex_lsp.text.languages import Language

_QUOTES = ('"""', "'''")


def commented(text: str, language: Language) -> list[str]:
    """`text` as comment lines; an end of comment inside it is pulled apart."""
    if language.line_comment:
        return [f"{language.line_comment} {line}".rstrip() for line in text.split("\n")]
    opener, closer = language.block_comment or ("#", "")
    inner = without_closer(text, closer)
    return [f"{opener} {line} {closer}" if line.strip() else "" for line in inner.split("\n")]


def without_closer(text: str, closer: str) -> str:
    """`text` in which `closer` stands nowhere."""
    return text.replace(closer, f"{closer[0]} {closer[1:]}") if closer else text


def commented_out(lines: Sequence[str], indentation: str, language: Language) -> list[str]:
    """Code put out of action, each line behind `indentation`."""
    cut = len(indentation)
    return [
        indentation + made if line.strip() else line
        for line in lines
        for made in commented(line[cut:] if line.strip() else "", language)
    ]


def words(line: str, language: Language) -> str | None:
    """What a line that is all comment says; None for any other line."""
    text = line.strip()
    if text.startswith(("/**", "///", "#'", "!>")) or (
        language.line_comment and text.startswith(language.line_comment)
    ):
        return re.sub(r"^(?:/\*\*|/+<?|#+'?|!>?|--+|%+)", "", text).removesuffix("*/").strip()
    if language.block_comment and text.startswith(language.block_comment[0]):
        opener, closer = language.block_comment
        return text.removeprefix(opener).removesuffix(closer).strip()
    return None


def at(lines: Sequence[str], line: int, language: Language) -> tuple[int, int] | None:
    """First and last line of the comment or docstring that ends at `line`, or above it when only
    blank lines are between; None where there is none."""
    last = line
    while last > 0 and not lines[last].strip():
        last -= 1
    begin = first_line(lines, last, language)
    return None if begin is None else (begin, last)


def first_line(lines: Sequence[str], last: int, language: Language) -> int | None:
    """Where the comment that ends with line `last` begins; None when that is no comment."""
    text = lines[last].strip()
    if language.block_comment and text.endswith(language.block_comment[1]):
        return _back_to(lines, last, language.block_comment[0])
    quotes = next((mark for mark in _QUOTES if text.endswith(mark)), "")
    if language.name == "Python" and quotes:
        return _back_to(lines, last, quotes)
    first = last
    while first >= 0 and words(lines[first], language) is not None:
        first -= 1
    return None if first == last else first + 1


def _back_to(lines: Sequence[str], last: int, opener: str) -> int | None:
    """The line that begins with `opener`, at `last` or above."""
    if lines[last].strip() == opener:
        last -= 1
    for number in range(last, -1, -1):
        if lines[number].strip().startswith(opener):
            return number
    return None
