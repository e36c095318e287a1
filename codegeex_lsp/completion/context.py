"""What surrounds the cursor: the text a model is asked with, and when not to ask at all.

Reads a snapshot near the cursor only, whatever the size of the document. Doesn't know prompts or
tokens: the runtime fits the text to its model. Called for every request, before cache and pacing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from codegeex_lsp.config.settings import Settings
from codegeex_lsp.text import languages
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.text.languages import Language
from model_runtime.wire.protocol import Reason

# The window above the cursor starts at a multiple of these line numbers: while one types, the text
# sent then grows at its end only, and the runtime finds all but that end in its KV cache.
STRIDES = (16, 8, 4, 2, 1)
# Minified files hold lines of megabytes; nothing below needs more of a line than this.
LINE_REACH = 4096
LINES_BELOW = 8
BLANK_LINES_CROSSED = 16

# What may follow the cursor when nobody asked: closers, quotes, punctuation and closing tags, most
# of them typed by the editor itself. The original extension and Copilot draw the line here; past it
# a suggestion pushes existing code aside, which people call noise.
_TYPED_BY_EDITOR = re.compile(r"""(?:[\s)\]}>"'`;:,{]|</[\w.:-]*>|\*/|-->)*""")


@dataclass(frozen=True, slots=True)
class Context:
    """The cursor's surroundings. Line ends are "\\n" in all of them; `newline` is the document's.

    `prefix` and `suffix` are for the model, within the budget. `line_before` and `line_after` are
    the cursor's line, at most LINE_REACH characters each; `indentation` is that whole line's.
    `lines_below` are the next lines with something in them.
    """

    position: Position
    language: Language | None
    prefix: str
    suffix: str
    line_before: str
    line_after: str
    indentation: str
    lines_below: tuple[str, ...]
    newline: str

    @property
    def next_line(self) -> str | None:
        return self.lines_below[0] if self.lines_below else None

    @property
    def at_line_start(self) -> bool:
        """Nothing but blanks stands before the cursor on its line."""
        return not self.line_before or self.line_before.isspace()

    @property
    def mid_line(self) -> bool:
        """Something other than blanks stands after the cursor on its line."""
        return bool(self.line_after) and not self.line_after.isspace()


def cut(
    snapshot: Snapshot, position: Position, budget_chars: int, language: Language | None
) -> Context:
    """Three quarters of the budget before the cursor, one quarter after it.

    A side that needs less leaves the rest unused: with it the other side's cut would move while
    one types. `position` lies in the document.
    """
    lines = snapshot.lines
    line = lines[position.line]
    column = position.column
    line_after = line[column : column + LINE_REACH].rstrip("\r\n")
    return Context(
        position=position,
        language=language,
        prefix=_unix(_before(lines, position, budget_chars * 3 // 4)),
        suffix=_unix(_after(lines, position, budget_chars // 4)),
        line_before=line[max(0, column - LINE_REACH) : column],
        line_after=line_after,
        indentation=_indentation(line[:LINE_REACH]),
        lines_below=tuple(islice(_content_below(lines, position.line), LINES_BELOW)),
        newline=_newline(lines, position.line),
    )


def refusal(
    snapshot: Snapshot, position: Position, settings: Settings, *, invoked: bool
) -> Reason | None:
    """Why no suggestion is wanted here, or None. An automatic request is refused more easily."""
    completion = settings.completion
    if not settings.enabled or not (invoked or completion.automatic):
        return Reason.DISABLED
    if _language_disabled(snapshot, completion.disabled_languages):
        return Reason.LANGUAGE_DISABLED
    if snapshot.size > completion.max_file_size:
        return Reason.FILE_TOO_LARGE
    nearby = list(_nearby(snapshot.lines, position))
    if any("\0" in text for text in nearby):
        return Reason.BINARY
    return None if invoked else _automatic_refusal(snapshot, position, nearby)


def is_served(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether the document's text may go to the runtime at all."""
    return settings.enabled and not _language_disabled(
        snapshot, settings.completion.disabled_languages
    )


def _automatic_refusal(
    snapshot: Snapshot, position: Position, nearby: Sequence[str]
) -> Reason | None:
    if not any(text.strip() for text in nearby):
        # Editors ask on opening an empty file too; a model has nothing to go on there.
        return Reason.BLANK
    line = snapshot.lines[position.line]
    rest = line[position.column : position.column + LINE_REACH]
    return None if _TYPED_BY_EDITOR.fullmatch(rest) else Reason.MIDDLE_OF_WORD


def _language_disabled(snapshot: Snapshot, disabled: tuple[str, ...]) -> bool:
    if not disabled:
        return False
    language = languages.of(snapshot.language_id, snapshot.uri)
    names = {snapshot.language_id.lower(), language.name.lower() if language else ""}
    return any(name.lower() in names for name in disabled)


def _nearby(lines: Sequence[str], position: Position) -> Iterator[str]:
    """The cursor's line and eight on each side, each within LINE_REACH of the cursor's column."""
    left = max(0, position.column - LINE_REACH)
    right = position.column + LINE_REACH
    for index in range(max(0, position.line - 8), min(len(lines), position.line + 9)):
        yield lines[index][left:right]


def _before(lines: Sequence[str], position: Position, budget: int) -> str:
    line, column = lines[position.line], position.column
    room = budget - column
    if room < 0:
        return line[_aligned(-room, max(1, budget // 4)) : column]
    first = position.line
    while first > 0 and len(lines[first - 1]) <= room:
        first -= 1
        room -= len(lines[first])
    return "".join(lines[_window_start(first, position.line) : position.line]) + line[:column]


def _window_start(first: int, cursor: int) -> int:
    """The widest stride that wastes at most half of the lines `first`..`cursor` that fit."""
    starts = (_aligned(first, stride) for stride in STRIDES)
    return next(start for start in starts if start - first <= (cursor - first) // 2)


def _aligned(number: int, stride: int) -> int:
    """The first multiple of `stride` at or after `number`."""
    return -(-number // stride) * stride


def _after(lines: Sequence[str], position: Position, budget: int) -> str:
    rest = lines[position.line][position.column : position.column + budget + 1]
    if len(rest) > budget:
        return rest[:budget]
    room = budget - len(rest)
    last = position.line
    while last + 1 < len(lines) and len(lines[last + 1]) <= room:
        last += 1
        room -= len(lines[last])
    return rest + "".join(lines[position.line + 1 : last + 1])


def _content_below(lines: Sequence[str], cursor: int) -> Iterator[str]:
    for index in range(cursor + 1, min(len(lines), cursor + 1 + LINES_BELOW + BLANK_LINES_CROSSED)):
        text = lines[index][:LINE_REACH].rstrip("\r\n")
        if text and not text.isspace():
            yield text


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _newline(lines: Sequence[str], cursor: int) -> str:
    """The line ending used where the cursor is; files with mixed ones exist."""
    for line in (lines[cursor], lines[cursor - 1] if cursor else ""):
        for ending in ("\r\n", "\n", "\r"):
            if line.endswith(ending):
                return ending
    return "\n"


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
