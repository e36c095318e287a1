"""What models put around the code they were asked for, taken away.

Fences of Markdown, a sentence before and a remark behind, endless repetition. Knows no language.
"""

from __future__ import annotations

import re

from codegeex_lsp.text.noise import without_noise

# So many equal groups of lines in a row are no code any more.
TURNS = 6
LONGEST_GROUP = 6

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_OPENING = re.compile(
    r"\s*(?:sure|certainly|of course|here(?:'s| is| are)|below (?:is|are)|the following|"
    r"this is the|translated code)\b[^\n]*[:.!]\s*(?:\n|\Z)",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"\n\s*\n(?:\**note\b|this (?:code|function|version|program|translation)\b|in this\b|"
    r"explanation\b|i hope\b|let me know\b|the (?:code|function) above\b)[^\n]*(?:\n.*)?\Z",
    re.IGNORECASE | re.DOTALL,
)


def code(text: str) -> str:
    """The code in an answer, up to where it begins to repeat itself."""
    return "\n".join(without_repetition(unwrapped(text).split("\n"))).strip("\n")


def unwrapped(text: str) -> str:
    """What is fenced in an answer, or all but a sentence before and a remark behind."""
    text = _unix(without_noise(text))
    if fenced := _FENCE.search(text):
        text = fenced[2]
    else:
        text = _REMARK.sub("", text)
        while opening := _OPENING.match(text):
            text = text[opening.end() :]
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def prose(text: str) -> str:
    """An answer in words: only its noise and repetition go."""
    lines = [line.rstrip() for line in _unix(without_noise(text)).split("\n")]
    return "\n".join(without_repetition(lines)).strip()


def without_repetition(lines: list[str]) -> list[str]:
    """The lines up to the first turn of a group that comes again and again.

    Lines without a letter count for nothing: tables of numbers repeat, and so do brackets.
    """
    for start in range(len(lines)):
        for length in range(1, LONGEST_GROUP + 1):
            group = lines[start : start + length]
            if not re.search("[A-Za-z]", "".join(group)):
                continue
            if lines[start : start + length * TURNS] == group * TURNS:
                return lines[: start + length]
    return lines


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
