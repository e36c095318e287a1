"""The families by name, and render(): a request's prompt, fitted to its budget, as ids.

The engine calls render(), the folders' readers find a model's family here.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from model_runtime.prompts import fim, quoting
from model_runtime.prompts.chat import CHATML, CODEGEEX4
from model_runtime.prompts.codegeex import CODEGEEX
from model_runtime.prompts.encoder_decoder import SPAN, SUMMARISER
from model_runtime.prompts.family import Family, Prompt
from model_runtime.prompts.nano import NANO
from model_runtime.prompts.pieces import fit
from model_runtime.prompts.plain import CODEGEN
from model_runtime.wire.protocol import Generate, Task

if TYPE_CHECKING:  # a client is told the tasks before anything heavy is imported
    from model_runtime.text.tokenizer import Tokenizer


# What the catalogue calls the prompt that is the text before the cursor, that which is the code,
# and that which has a gap.
PLAIN, TEXT, T5_SPAN = "plain", "text", "t5-span"


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
        return _FAMILIES[self].tasks

    @property
    def spoiled(self) -> str:
        """Nothing: none of these needs a template."""
        return _FAMILIES[self].spoiled

    @property
    def converses(self) -> bool:
        """Whether its models are asked in words and answer in them."""
        return _FAMILIES[self].converses

    def prompt(self, request: Generate) -> Prompt:
        """The request's prompt, uncut. Raises BadPromptError for a task the family can't."""
        return _FAMILIES[self].prompt(request)


_FAMILIES: dict[PromptFormat, Family] = {
    PromptFormat.CODEGEEX: CODEGEEX,
    PromptFormat.NANO_FIM: NANO,
    PromptFormat.CODEGEEX2: CODEGEEX,
    PromptFormat.CODEGEEX4: CODEGEEX4,
    PromptFormat.CODEGEN: CODEGEN,
    PromptFormat.CODET5P: SUMMARISER,
    PromptFormat.CHATML: CHATML,
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as ids; `lead`, `stop` and `whole` are those of Prompt."""

    ids: list[int]
    lead: str
    stop: tuple[str, ...]
    whole: bool


def of_catalogue(format: str) -> Family:
    """The family of a model without a chat template, by what the catalogue calls its format.

    Raises ValueError for a format that is no prompt.
    """
    if format in fim.FORMATS:
        return fim.family(format)
    others = {PLAIN: CODEGEN, TEXT: SUMMARISER, T5_SPAN: SPAN}
    return others[format] if format in others else _FAMILIES[PromptFormat(format)]


def fitting(controls: Container[str], network: str, sentencepiece: bool) -> Family:
    """The family of a model that nobody knows, by its network's name and its tokenizer."""
    format = fim.fitting(controls, network, sentencepiece)
    return fim.family(format) if format else CODEGEN


def render(
    format: PromptFormat | Family, tokenizer: Tokenizer, request: Generate, budget: int
) -> Rendered:
    """At most `budget` token ids whose continuation answers the request.

    With nothing to say they are the end-of-text token, since a network needs one. Raises
    BadPromptError for a task the family can't, and when the request doesn't fit the budget.
    """
    others = quoting.fitting(request.snippets, request.language, tokenizer, budget)
    prompt = format.prompt(replace(request, snippets=others))
    begin = () if prompt.whole else tokenizer.begin
    ids = [*begin, *fit(prompt.pieces, tokenizer, budget - len(begin))]
    return Rendered(ids or [tokenizer.end_of_text], prompt.lead, prompt.stop, prompt.whole)
