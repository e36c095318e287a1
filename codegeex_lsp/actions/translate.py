"""Code in another language: instead of the original, below it, or in a document of its own.

What doesn't parse is asked for again, several times and varied; the first answer that parses is
taken. Where there is no parser for a language the first answer is.
"""

from __future__ import annotations

from collections.abc import Generator

from codegeex_lsp.actions import answers, comments, syntax
from codegeex_lsp.actions.passage import Passage
from codegeex_lsp.actions.plan import Change, Outcome, Plan, Question, Refusal, Sheet
from codegeex_lsp.actions.portions import portions
from codegeex_lsp.config.settings import Placement
from codegeex_lsp.text.languages import LANGUAGES, Language
from model_runtime.wire.protocol import Task

NOT_PARSED = "The translation may be faulty: it does not parse as {name}."


def plan(
    passage: Passage,
    source: Language | None,
    target: Language | None,
    placement: Placement,
    limit: int,
) -> Plan:
    """Raises Refusal for a pair that makes no sense and for a passage that is too long."""
    if source is None or target is None:
        names = ", ".join(language.name for language in LANGUAGES)
        which = "to" if source else "from"
        raise Refusal(f"The language to translate {which} is not one of these: {names}.")
    if source is target:
        raise Refusal(f"The code is {source.name} already; name another language.")
    return _translated(passage, source, target, placement, portions(passage, limit))


def _translated(
    passage: Passage,
    source: Language,
    target: Language,
    placement: Placement,
    parts: list[Passage],
) -> Plan:
    made: list[str] = []
    for number, part in enumerate(parts, 1):
        made.append((yield from _ask(part.code, target, number, len(parts))))
    text = "\n\n".join(made)
    note = NOT_PARSED.format(name=target.name) if syntax.parses(text, target.name) is False else ""
    return _placed(passage, text, source, target, placement, note)


def _ask(
    code: str, target: Language, part: int, parts: int
) -> Generator[Question, tuple[str, ...], str]:
    question = Question(Task.TRANSLATE, code=code, target=target.name, part=part, parts=parts)
    first = answers.code((yield question)[0])
    if first and syntax.parses(first, target.name) is not False:
        return first
    again = Question(
        Task.TRANSLATE, code=code, target=target.name, part=part, parts=parts, varied=True
    )
    others = [answers.code(answer) for answer in (yield again)]
    good = [one for one in others if one and syntax.parses(one, target.name) is not False]
    best = next(iter(good), first or next(filter(None, others), ""))
    if not best:
        raise Refusal("The model wrote no translation; try a smaller piece of code.")
    return best


def _placed(
    passage: Passage,
    text: str,
    source: Language,
    target: Language,
    placement: Placement,
    note: str,
) -> Outcome:
    if placement is Placement.BESIDE:
        return Sheet(text + "\n", target.suffixes[0], note)
    # The result keeps its own tabs or spaces: they belong to its language.
    lead = passage.indentation
    lines = [lead + line if line.strip() else "" for line in text.split("\n")]
    if placement is Placement.COMMENT:
        lines = comments.commented_out(passage.lines, lead, source) + lines
    return Change(passage, passage.first, passage.last, tuple(lines), note)
