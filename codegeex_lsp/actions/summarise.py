"""Code in one sentence, as a comment above it."""

from __future__ import annotations

from codegeex_lsp.actions import comments, docstring
from codegeex_lsp.actions.passage import Passage, indentation_of
from codegeex_lsp.actions.plan import Change, Plan, Question, Refusal
from codegeex_lsp.actions.portions import portions
from codegeex_lsp.text.languages import Language
from model_runtime.wire.protocol import Task

NOTHING = "The model gave no summary; try a smaller piece of code."


def plan(passage: Passage, language: Language, limit: int) -> Plan:
    """For as much of the beginning as the model can take. Raises Refusal."""
    return _summarised(portions(passage, limit)[0], language)


def _summarised(passage: Passage, language: Language) -> Plan:
    answer = (yield Question(Task.SUMMARISE, code=passage.code))[0]
    sentence = " ".join(docstring.description(answer, language).split())
    if not sentence:
        raise Refusal(NOTHING)
    lead = indentation_of(passage.lines[0])
    lines = tuple(lead + line for line in comments.commented(sentence, language))
    return Change(passage, passage.first, passage.first - 1, lines)
