"""Code from words: from the comment or docstring at the cursor, an instruction, or several steps.

A selection with several comments that have no code yet is a list of steps: each is answered in
turn, and the next one is asked with what the ones before it gave.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from codegeex_lsp.actions import answers, comments
from codegeex_lsp.actions.passage import Passage, bare, dedented, indentation_of, width
from codegeex_lsp.actions.plan import Change, Plan, Question, Refusal
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.text.languages import Language
from model_runtime.wire.protocol import Task

NO_COMMENT = (
    "There is no comment to generate from; write one that says what you want and put the cursor "
    "below it, or give an instruction."
)


def plan(
    snapshot: Snapshot, start: Position, end: Position, language: Language, instruction: str
) -> Plan:
    """Insert what the comments in `start` to `end` ask for, or what `instruction` does."""
    lines = [bare(line) for line in snapshot.lines]
    if instruction:
        return _instructed(snapshot, lines, snapshot.clamp(end).line, instruction)
    if end.line - (end.column == 0) > start.line:
        found = steps(lines, start.line, min(end.line, len(lines) - 1), language)
    else:
        one = comments.at(lines, snapshot.clamp(start).line, language)
        found = [one] if one else []
    if not found:
        raise Refusal(NO_COMMENT)
    return _stepwise(snapshot, lines, found)


def steps(lines: Sequence[str], first: int, last: int, language: Language) -> list[tuple[int, int]]:
    """The comments from line `first` to `last` that no code follows, as first and last line."""
    found: list[tuple[int, int]] = []
    number = last
    while number >= first:
        begin = comments.first_line(lines, number, language) if lines[number].strip() else None
        if begin is None:
            number -= 1
            continue
        if _is_open(lines, number, language):
            found.append((max(begin, first), number))
        number = begin - 1
    return found[::-1]


def first_unit(text: str) -> str:
    """The beginning of generated code that belongs to what was asked for.

    It ends where indentation falls below the first line's, behind two blank lines, and at a blank
    line after which a new statement begins once a block was written.
    """
    lines = text.split("\n")
    start = next((n for n, line in enumerate(lines) if line.strip()), len(lines))
    own = width(lines[start]) if start < len(lines) else 0
    deeper, blank = False, 0
    for number in range(start, len(lines)):
        line = lines[number]
        if not line.strip():
            blank += 1
            continue
        if width(line) < own or blank >= 2 or (blank and deeper and width(line) == own):
            return "\n".join(lines[start:number]).rstrip()
        deeper, blank = deeper or width(line) > own, 0
    return "\n".join(lines[start:]).rstrip()


def is_whole(text: str) -> bool:
    """Whether `text` goes on behind its first unit already."""
    finished = text[: text.rfind("\n") + 1].rstrip()
    return len(first_unit(finished)) < len(finished.lstrip("\n"))


def _instructed(snapshot: Snapshot, lines: list[str], line: int, instruction: str) -> Plan:
    """Below `line`, or in its place when it is blank."""
    blank = not lines[line].strip()
    passage = Passage(snapshot, line, line)
    above = lines[:line] if blank else lines[: line + 1]
    lead = indentation_of(lines[line])
    prefix = _text(above) + lead
    made = yield from _ask(prefix, lines[line + 1 :], instruction, 1, 1)
    first = line if blank else line + 1
    return Change(passage, first, line, tuple(passage.indented(made, lead)))


def _stepwise(snapshot: Snapshot, lines: list[str], found: list[tuple[int, int]]) -> Plan:
    whole = Passage(snapshot, found[0][0], found[-1][1])
    above, result = lines[: found[0][0]], []
    for part, (begin, end) in enumerate(found, 1):
        following = lines[end + 1 : found[part][0]] if part < len(found) else []
        result += lines[begin : end + 1]
        lead = indentation_of(lines[begin])
        prefix = _text(above + result)
        made = yield from _ask(prefix, lines[end + 1 :], "", part, len(found))
        result += whole.indented(made, lead) + following
    kept = found[0][1] + 1 - found[0][0]
    if len(found) == 1:
        return Change(whole, whole.last + 1, whole.last, tuple(result[kept:]))
    return Change(whole, whole.first, whole.last, tuple(result))


def _ask(
    prefix: str, below: list[str], instruction: str, part: int, parts: int
) -> Generator[Question, tuple[str, ...], str]:
    """The first unit of the answer, dedented."""
    suffix = "\n".join(below)
    given = yield Question(
        Task.GENERATE,
        prefix=prefix,
        suffix=suffix,
        instruction=instruction,
        part=part,
        parts=parts,
        enough=is_whole,
    )
    made = first_unit(answers.code(given[0]))
    if not made.strip():
        raise Refusal("The model wrote no code for this; say more in the comment.")
    return "\n".join(dedented(made.split("\n")))


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _is_open(lines: Sequence[str], last: int, language: Language) -> bool:
    """Whether no code follows the comment that ends at `last` directly."""
    following = lines[last + 1].strip() if last + 1 < len(lines) else ""
    return not following or comments.words(following, language) is not None
