"""From a request to token ids: the prompt each model family was trained on, cut to its budget.

    __init__.py   the families by name, and render(): start reading here
    family.py     what a family says of itself
    codegeex.py   CodeGeeX-13B and CodeGeeX2; nano.py, plain.py, chat.py the others
    pieces.py     what prompts are made of; fitting them to the budget
    tags.py       the languages' tag lines and comments

Formats are pure functions of the request. None knows the network, its cache or a client. The
engine calls render().
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from model_runtime.errors import BadPromptError
from model_runtime.prompts.chat import CHATML, CODEGEEX4
from model_runtime.prompts.codegeex import CODEGEEX
from model_runtime.prompts.family import Family, Prompt
from model_runtime.prompts.nano import NANO
from model_runtime.prompts.pieces import fit, shown
from model_runtime.prompts.plain import CODEGEN, CODET5P
from model_runtime.prompts.tags import TAGS, comment, tag_line
from model_runtime.protocol import Generate, Task

if TYPE_CHECKING:  # a client is told the tasks before anything heavy is imported
    from model_runtime.tokenizer import Tokenizer

__all__ = ["TAGS", "PromptFormat", "Rendered", "comment", "render", "shown", "tag_line"]


class PromptFormat(StrEnum):
    """What a model's config.json may name: the family whose formats it was trained on."""

    CODEGEEX = "codegeex"
    NANO_FIM = "nano-fim"
    CODEGEEX2 = "codegeex2"
    CODEGEEX4 = "codegeex4"
    CODEGEN = "codegen"
    CODET5P = "codet5p"
    CHATML = "chatml"

    @property
    def controls(self) -> tuple[str, ...]:
        """The control tokens a tokenizer must have for it."""
        return _FAMILIES[self].controls

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What a model of the family can be asked for."""
        return tuple(_FAMILIES[self].formats)

    def prompt(self, request: Generate) -> Prompt:
        """The request's prompt, uncut. Raises BadPromptError for a task the family can't."""
        formats = _FAMILIES[self].formats
        if request.task not in formats:
            raise BadPromptError(f'This model can\'t "{request.task}".')
        return formats[Task(request.task)](request)


_FAMILIES: dict[PromptFormat, Family] = {
    PromptFormat.CODEGEEX: CODEGEEX,
    PromptFormat.NANO_FIM: NANO,
    PromptFormat.CODEGEEX2: CODEGEEX,
    PromptFormat.CODEGEEX4: CODEGEEX4,
    PromptFormat.CODEGEN: CODEGEN,
    PromptFormat.CODET5P: CODET5P,
    PromptFormat.CHATML: CHATML,
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as ids; `lead` and `stop` are those of Prompt."""

    ids: list[int]
    lead: str
    stop: tuple[str, ...]


def render(format: PromptFormat, tokenizer: Tokenizer, request: Generate, budget: int) -> Rendered:
    """At most `budget` token ids whose continuation answers the request.

    With nothing to say they are the end-of-text token, since a network needs one. Raises
    BadPromptError for a task the family can't, and when the request doesn't fit the budget.
    """
    prompt = format.prompt(request)
    ids = fit(prompt.pieces, tokenizer, budget) or [tokenizer.end_of_text]
    return Rendered(ids, prompt.lead, prompt.stop)
