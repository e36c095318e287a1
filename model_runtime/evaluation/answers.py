"""The code in an answer of a conversation: without fences, prose, and what else was said.

Pure text. forwarding.py makes a body of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# CommonMark's fences: three or more, behind at most three blanks; lists indent them further.
FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """`closed` says that its end was seen: an answer may have been cut before."""

    text: str
    closed: bool


def blocks(answer: str) -> list[Block]:
    """What stands in fences, in order."""
    found: list[Block] = []
    lines: list[str] = []
    mark = indent = ""
    for line in answer.split("\n"):
        fence = FENCE.match(line)
        if not mark:
            if fence:
                mark, indent = fence[1], line[: line.index(fence[1])]
                lines = []
        elif fence and fence[1].startswith(mark) and not fence[2].strip():
            found.append(Block("".join(f"{one}\n" for one in lines), True))
            mark = ""
        else:
            lines.append(line.removeprefix(indent))
    if mark:
        found.append(Block("\n".join(lines), False))
    return found


def code(answer: str, name: str) -> str:
    """The first block that has the name, else the first at all, else the answer as it is."""
    found = blocks(answer)
    named = [block for block in found if _has(block.text, name)]
    return next((block.text for block in (*named, *found)), answer)


def said(answer: str, name: str) -> bool:
    """Whether the code with that name is whole, so that the answer need not go on."""
    return any(block.closed and _has(block.text, name) for block in blocks(answer))


def _has(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
