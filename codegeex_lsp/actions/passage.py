"""The lines of a document that an action is about.

A selection means the lines it touches; one that is tiny (a cursor, a part of a line) means the
definition around it, found by indentation and a few words, without a parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from codegeex_lsp.text.documents import Position, Snapshot, content_length

TAB_WIDTH = 4
# Longer lines are data; the words that open a definition stand at the beginning.
LINE_REACH = 200

_DEFINITION = re.compile(
    r"""\s*(?: (?:[\w@<>\[\],:*&~]+\s+)* (?:def|class|func|function|fn|fun|sub|subroutine|procedure
                |program|interface|struct|enum|trait|impl|object|record|module|namespace|union
                |protocol) \b
            | CREATE\b
            | (?:[\w:<>\[\],*&~.]+\s+)+ [\w~:*&]+ \s* \([^;=]*\) [^;=]* $
            | [\w~:]+ \s* \([^;=]*\) [^;=]* \{ $
            | (?:export\s+)?(?:const|let|var)\s+\w+\s*=.*(?:=>|function)
            | @(?:interface|implementation) | [-+]\s*\(
        )""",
    re.VERBOSE | re.IGNORECASE,
)
_CONTROL = re.compile(
    r"\s*(?:\}\s*)?(?:if|elif|else|for|foreach|while|switch|case|do|try|catch|except|finally|with|"
    r"return|match|when|loop|repeat|unless|until|select|throw|await|yield|using|lock)\b",
    re.IGNORECASE,
)
_CLOSER = re.compile(
    r"\s*(?:[)\]}]+|end\b|fi\b|done\b|esac\b|</|\\end\b|\*/|-->)[\w\s;,.()]*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Passage:
    """Whole lines `first` to `last` of `snapshot`, both counted in."""

    snapshot: Snapshot
    first: int
    last: int

    @property
    def lines(self) -> list[str]:
        """Without their endings."""
        return [bare(line) for line in self.snapshot.lines[self.first : self.last + 1]]

    @property
    def indentation(self) -> str:
        """What all lines with something in them begin with."""
        return common_indentation(self.lines)

    @property
    def code(self) -> str:
        """The text without the common indentation, lines ended by "\\n"."""
        return "\n".join(dedented(self.lines))

    @property
    def newline(self) -> str:
        """The line ending used there; files with mixed ones exist."""
        lines = self.snapshot.lines
        for line in (*lines[self.first : self.last + 1], *lines[: self.first][-1:]):
            if ending := line[content_length(line) :]:
                return ending
        return "\n"

    @property
    def tabbed(self) -> bool:
        """Whether the document indents with tabs: its nearest indented line tells."""
        lines = self.snapshot.lines
        for line in (*lines[self.first : self.last + 1], *reversed(lines[: self.first])):
            if line[:1] in ("\t", " ") and line.strip():
                return line.startswith("\t")
        return False

    def indented(self, text: str, indentation: str | None = None) -> list[str]:
        """`text` as lines for this document: its tabs or spaces, below `indentation`."""
        lead = self.indentation if indentation is None else indentation
        lines = text.split("\n")
        if self.tabbed:
            lines = with_tabs(lines)
        return [lead + line if line.strip() else "" for line in lines]

    @property
    def is_blank(self) -> bool:
        lines = self.snapshot.lines[self.first : self.last + 1]
        return not any(line.strip() for line in lines)


def of_selection(snapshot: Snapshot, start: Position, end: Position) -> Passage:
    """The lines from `start` to `end`, or the block around them when they are a part of a line."""
    start, end = snapshot.clamp(start), snapshot.clamp(end)
    last = end.line - (end.column == 0 and end.line > start.line)
    if last == start.line and not _covers_line(snapshot, start, end):
        return enclosing(snapshot, start.line)
    return _without_blank_edges(Passage(snapshot, start.line, last))


def enclosing(snapshot: Snapshot, line: int) -> Passage:
    """The innermost definition around `line`; else the outermost block, else the line alone."""
    first = opening(snapshot, line)
    return Passage(snapshot, first, _block_end(snapshot.lines, first))


def opening(snapshot: Snapshot, line: int) -> int:
    """The line that opens the block which enclosing() answers."""
    lines = snapshot.lines
    first = line = _nearest_text(lines, line)
    for first in _outwards(lines, line):
        if is_definition(lines[first]):
            break
    return first


def is_definition(line: str) -> bool:
    """Whether `line` opens a function, a class or the like, as far as one line can tell."""
    line = line[:LINE_REACH].rstrip()
    return bool(_DEFINITION.match(line)) and not _CONTROL.match(line)


def width(line: str) -> int:
    """Columns of indentation."""
    return len(indentation_of(line).expandtabs(TAB_WIDTH))


def indentation_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def bare(line: str) -> str:
    """`line` without its ending."""
    return line[: content_length(line)]


def common_indentation(lines: Sequence[str]) -> str:
    """The longest beginning of blanks that all lines with text share, character by character."""
    leads = [indentation_of(line) for line in lines if line.strip()]
    if not leads:
        return ""
    low, high = min(leads), max(leads)
    same = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:same]


def dedented(lines: Sequence[str]) -> list[str]:
    """The lines without their common indentation; those of blanks only become empty."""
    cut = len(common_indentation(lines))
    return [line[cut:] if line.strip() else "" for line in lines]


def with_tabs(lines: Sequence[str]) -> list[str]:
    """Indentation of spaces as tabs; the step is the smallest indentation there is."""
    steps = {len(lead) for line in lines if line.strip() and (lead := indentation_of(line))}
    if not steps or any("\t" in indentation_of(line) for line in lines):
        return list(lines)
    step = min(steps) if min(steps) > 1 else TAB_WIDTH
    return [_tabbed(line, step) for line in lines]


def _tabbed(line: str, step: int) -> str:
    depth, rest = divmod(len(indentation_of(line)), step)
    return "\t" * depth + " " * rest + line.lstrip(" ")


def _covers_line(snapshot: Snapshot, start: Position, end: Position) -> bool:
    """Whether the selection, within one line, is all of its text."""
    text = bare(snapshot.lines[start.line]).strip()
    return bool(text) and snapshot.between(start, end).strip() == text


def _without_blank_edges(passage: Passage) -> Passage:
    first, last = passage.first, passage.last
    lines = passage.snapshot.lines
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last].strip():
        last -= 1
    return Passage(passage.snapshot, first, last)


def _nearest_text(lines: Sequence[str], line: int) -> int:
    """The line itself, or the next one with text above it, else below it."""
    order = chain(range(line, -1, -1), range(line + 1, len(lines)))
    return next((number for number in order if lines[number].strip()), line)


def _outwards(lines: Sequence[str], line: int) -> Iterator[int]:
    """`line` and the lines that enclose it, innermost first: each indented less than the last."""
    yield line
    # A closer belongs to the line that opened its block, which is indented alike.
    limit = width(lines[line]) + bool(_CLOSER.fullmatch(bare(lines[line])))
    for number in range(line - 1, -1, -1):
        text = lines[number]
        if limit == 0:
            return
        if text.strip() in ("", "{") or width(text) >= limit or _CLOSER.fullmatch(bare(text)):
            continue
        yield number
        limit = width(text)


def _block_end(lines: Sequence[str], first: int) -> int:
    """The last line of the block that `first` opens, with the line that closes it."""
    own, last = width(lines[first]), first
    for number in range(first + 1, len(lines)):
        text = bare(lines[number])
        if not text.strip():
            continue
        if width(text) > own:
            last = number
            continue
        closes = bool(_CLOSER.fullmatch(text)) or text.strip()[0] in "{)]}"
        if width(text) < own or not closes:
            break
        last = number
        if text.strip() not in ("{", ")", "):", ") {"):
            break
    return last
