"""A file's text cut into chunks by definition, for a search that answers with places.

Reads lines and their indentation, not grammar: a definition ends before the next line that is
indented no deeper, closing brackets left to it. Classes and the like are cut into their head and
their members, functions stay whole, what stands between is cut at blank lines. Pure text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codegeex_lsp.text.languages import BlockStyle, Language

# A longer piece is cut; the middle of a function of 200 lines is a place of its own.
MOST_LINES = 60
TAB_WIDTH = 4
TITLE_CHARACTERS = 200

_NAMED = (
    r"(?:(?:export|default|public|private|protected|internal|static|abstract|final|sealed|open|"
    r"async|unsafe|pub(?:\([\w:]+\))?|extern|inline|virtual|override|const|partial|data|case)\s+)*"
)
# What holds definitions, and what is one.
_CONTAINER = re.compile(
    rf"\s*(?:template\s*<.*>\s*)?{_NAMED}"
    r"(?:class|struct|interface|trait|impl|namespace|module|mod|enum|object|union|protocol)\b"
)
_FUNCTION = re.compile(
    rf"\s*{_NAMED}(?:def|fn|func|function|sub|procedure|fun)\b"
    r"|\s*(?:export\s+)?(?:const|let|var)\s+\w+\s*=\s*(?:async\s*)?(?:function\b|\(.*=>|\w+\s*=>)"
    r"|\s*[\w-]+\s*\(\)\s*\{"
)
_TYPE = re.compile(rf"\s*{_NAMED}(?:type|typedef)\s+\w")
# int main(void) {   std::string Reader::name() const   @Override public void run() {
_C_FUNCTION = re.compile(r"\s*(?:[\w:<>,*&~\[\]@.?]+\s+)*[\w:~*&<>]+\s*\([^;=]*$")
_CONTROL = re.compile(
    r"\s*(?:\}\s*)?(?:if|for|while|switch|return|else|catch|do|try|case|throw|new|await|with|"
    r"elif|except|assert|print|match|using|defer|go|select|goto|sizeof|import|from|include)\b"
)
_CLOSING = re.compile(r"\s*(?:[)\]}]|end\b|fi\b|done\b|esac\b|\{)")
# Decorators, attributes and comments above a definition belong to it.
_ABOVE = re.compile(r"\s*(?:@|#|//|/\*|\*|--|;;)")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines `first` to `last`, both counted from 0 and included. `title` is one line for people:
    the definition's own, behind the name of what holds it; the first line where there is none."""

    first: int
    last: int
    title: str
    text: str


def cut(text: str, language: Language | None) -> list[Chunk]:
    """All lines with a word in them, in order, each in one chunk."""
    lines = text.split("\n")
    braces = language is not None and language.block_style is BlockStyle.BRACES
    return list(_Cutter(lines, braces).between(0, len(lines), ""))


class _Cutter:
    def __init__(self, lines: Sequence[str], braces: bool) -> None:
        self._lines = lines
        self._braces = braces

    def between(self, begin: int, end: int, holder: str) -> Iterator[Chunk]:
        """The chunks of the lines `begin` to before `end`."""
        loose = line = begin
        while line < end:
            if not self._defines(line):
                line += 1
                continue
            start = self._start(line, loose)
            stop = min(self._stop(line), end)
            yield from self._pieces(loose, start, holder)
            yield from self._definition(start, line, stop, holder)
            loose = line = stop
        yield from self._pieces(loose, end, holder)

    def _definition(self, start: int, line: int, stop: int, holder: str) -> Iterator[Chunk]:
        title = self._title(line, holder)
        if not _CONTAINER.match(self._lines[line]):
            yield from self._pieces(start, stop, holder, title)
            return
        inner = next((n for n in range(line + 1, stop) if self._defines(n)), stop)
        head = self._start(inner, line + 1) if inner < stop else stop
        yield from self._pieces(start, head, holder, title)
        yield from self.between(head, stop, _name(self._lines[line]))

    def _defines(self, line: int) -> bool:
        text = self._lines[line]
        if len(text) > TITLE_CHARACTERS or not text.strip():
            return False
        if _CONTAINER.match(text) or _FUNCTION.match(text) or _TYPE.match(text):
            return not text.rstrip().endswith(";")
        if not self._braces or _CONTROL.match(text) or not _C_FUNCTION.match(text):
            return False
        return text.rstrip().endswith("{") or self._opens_later(line)

    def _opens_later(self, line: int) -> bool:
        """A body's brace may stand on one of the next lines, behind further parameters."""
        for text in self._lines[line + 1 : line + 5]:
            if ";" in text or "=" in text:
                return False
            if text.lstrip().startswith("{") or text.rstrip().endswith(") {"):
                return True
        return False

    def _start(self, line: int, least: int) -> int:
        """Where the comments and decorators right above `line` begin."""
        while line > least and _ABOVE.match(self._lines[line - 1]):
            line -= 1
        return line

    def _stop(self, line: int) -> int:
        """The line behind the definition at `line`."""
        own = _width(self._lines[line])
        last = line
        for index in range(line + 1, len(self._lines)):
            text = self._lines[index]
            if not text.strip():
                continue
            if _width(text) <= own and not _CLOSING.match(text):
                break
            last = index
            if _width(text) < own:
                return index  # it closes what is around the definition
        return last + 1

    def _pieces(self, begin: int, end: int, holder: str, title: str = "") -> Iterator[Chunk]:
        """The lines as chunks of at most MOST_LINES, cut at blank lines where there are any."""
        while end > begin and self._blank(end - 1):
            end -= 1
        while begin < end:
            if self._blank(begin):
                begin += 1
                continue
            stop = min(end, begin + MOST_LINES)
            if stop < end:
                blank = (n for n in range(stop, begin + MOST_LINES // 2, -1) if self._blank(n))
                stop = next(blank, stop)
            text = "\n".join(self._lines[begin:stop]).rstrip()
            if re.search(r"\w", text):  # not a mere "}"
                yield Chunk(begin, stop - 1, title or self._title(begin, holder), text)
            begin = stop

    def _blank(self, line: int) -> bool:
        return not self._lines[line].strip()

    def _title(self, line: int, holder: str) -> str:
        own = self._lines[line].strip()[:TITLE_CHARACTERS]
        return f"{holder}: {own}" if holder else own


def _name(line: str) -> str:
    """`class Reader` of "export class Reader<T> extends Base {"."""
    words = re.findall(r"[\w:]+", re.split(r"[({<:=]|\bextends\b|\bimplements\b", line)[0])
    return " ".join(words[-2:])[:80]


def _width(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(TAB_WIDTH))
