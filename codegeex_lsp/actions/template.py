"""Prompts of the user's own, in files: <INPUT> stands for the selection.

    <INPUT>      all of it
    <INPUT:a>    from line a on; lines count from 0, and from the end when negative
    <INPUT:a,b>  from line a up to, not including, line b

One file a template, named after it. Files are read when they are used, so an edited one holds at
once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codegeex_lsp.actions import answers
from codegeex_lsp.actions.passage import Passage, dedented
from codegeex_lsp.actions.plan import Change, Plan, Question, Refusal
from codegeex_lsp.actions.portions import portions
from model_runtime.wire.protocol import Task

_PLACE = re.compile(r"<INPUT(?::([^<>\n]*))?>")
_SLICE = re.compile(r"\s*(-?\d{1,6})\s*(?:,\s*(-?\d{1,6})\s*)?")


@dataclass(frozen=True, slots=True)
class Template:
    """`name` is what the user calls it, `text` the file's."""

    name: str
    text: str


def filled(template: Template, code: str) -> str:
    """The template with the selection in its places. Raises Refusal for a bad slice."""
    lines = code.split("\n")

    def fill(place: re.Match[str]) -> str:
        if place[1] is None:
            return code
        limits = _SLICE.fullmatch(place[1])
        if limits is None:
            raise Refusal(
                f'The template "{template.name}" has "{place[0][:40]}"; '
                "write <INPUT>, <INPUT:a> or <INPUT:a,b> with line numbers."
            )
        end = int(limits[2]) if limits[2] is not None else None
        return "\n".join(lines[int(limits[1]) : end])

    return _PLACE.sub(fill, template.text)


def plan(passage: Passage, template: Template, limit: int) -> Plan:
    """Insert the answer below the passage. Raises Refusal for a bad slice or too much text."""
    if _PLACE.search(template.text):
        portions(passage, limit)  # refuses a selection that is blank
    prompt = filled(template, passage.code)
    if len(prompt) > limit:
        raise Refusal(
            f'The template "{template.name}" with the selection has {len(prompt)} characters, and '
            f"the model can take {limit} at once; select less."
        )
    return _answered(passage, prompt)


def _answered(passage: Passage, prompt: str) -> Plan:
    text = answers.code((yield Question(Task.TEMPLATE, prefix=prompt))[0])
    if not text.strip():
        raise Refusal("The model wrote nothing for this template.")
    lines = passage.indented("\n".join(dedented(text.split("\n"))))
    return Change(passage, passage.last + 1, passage.last, ("", *lines))
