"""Code explained: comments between its lines, or a Markdown document of its own.

The code itself is never taken from the model: its answer is searched for comments and for the code
lines they stand above, and only the comments are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from codegeex_lsp.actions import answers, comments
from codegeex_lsp.actions.passage import Passage, indentation_of
from codegeex_lsp.actions.plan import Change, Plan, Question, Refusal, Sheet
from codegeex_lsp.actions.portions import portions
from codegeex_lsp.text import file_uris
from codegeex_lsp.text.languages import Language
from model_runtime.wire.protocol import Task

NOTHING = "The model gave no explanation; try a smaller piece of code."
# The model may leave out a few lines of the code between two comments.
SKIPPED_LINES = 8


class Style(StrEnum):
    COMMENTS = "comments"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Remark:
    """What was said above line `line` of the code, counted from 0."""

    line: int
    text: str


def plan(passage: Passage, language: Language, style: Style, limit: int) -> Plan:
    """Raises Refusal for a passage that is too long."""
    return _explained(passage, language, style, portions(passage, limit))


def _explained(passage: Passage, language: Language, style: Style, parts: list[Passage]) -> Plan:
    remarks: list[Remark] = []
    for number, part in enumerate(parts, 1):
        question = Question(Task.EXPLAIN, code=part.code, part=number, parts=len(parts))
        answer = (yield question)[0]
        offset = part.first - passage.first
        found = remarks_of(answer, part.code, language)
        remarks += [Remark(offset + one.line, one.text) for one in found]
    if not remarks:
        raise Refusal(NOTHING)
    if style is Style.DOCUMENT:
        return Sheet(document(passage, remarks, language), ".md")
    lines = with_comments(passage, remarks, language)
    return Change(passage, passage.first, passage.last, tuple(lines))


def remarks_of(answer: str, code: str, language: Language) -> list[Remark]:
    """The comments of an answer with the lines of `code` they belong to.

    An answer in plain words is one remark above all of it.
    """
    lines = [line.strip() for line in code.split("\n")]
    found: list[Remark] = []
    said: list[str] = []
    place = -1
    for line in answers.unwrapped(answer).split("\n"):
        here = _next(lines, line.strip(), place + 1)
        if here is not None:
            if said:
                found.append(Remark(here, "\n".join(said)))
            said, place = [], here
        elif (text := comments.words(line, language)) and text not in lines:
            said.append(text)
    if place < 0 and not said:
        text = answers.prose(answer)
        return [Remark(0, text)] if text else []
    return found


def with_comments(passage: Passage, remarks: list[Remark], language: Language) -> list[str]:
    """The passage's lines with the remarks above them, indented like them."""
    above: dict[int, list[str]] = {}
    for remark in remarks:
        above.setdefault(remark.line, []).extend(comments.commented(remark.text, language))
    result: list[str] = []
    for number, line in enumerate(passage.lines):
        lead = indentation_of(line)
        result += [lead + comment for comment in above.get(number, ())]
        result.append(line)
    return result


def document(passage: Passage, remarks: list[Remark], language: Language) -> str:
    """Markdown: each remark, and below it the code up to the next one."""
    name = file_uris.name(passage.snapshot.uri)
    title = f"# {name}, lines {passage.first + 1} to {passage.last + 1}"
    lines = passage.code.split("\n")
    starts = [remark.line for remark in remarks]
    blocks = [title]
    if starts[0] > 0:
        blocks.append(_fenced(lines[: starts[0]], language))
    for remark, end in zip(remarks, [*starts[1:], len(lines)], strict=True):
        blocks.append(remark.text)
        blocks.append(_fenced(lines[remark.line : end], language))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fenced(lines: list[str], language: Language) -> str:
    code = "\n".join(lines).strip("\n")
    if not code:
        return ""
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{language.ids[0]}\n{code}\n{fence}"


def _next(lines: list[str], wanted: str, start: int) -> int | None:
    """Where `wanted` stands in the next lines from `start`."""
    if not wanted:
        return None
    window = range(start, min(len(lines), start + SKIPPED_LINES))
    return next((number for number in window if lines[number] == wanted), None)
