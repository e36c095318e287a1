"""What a model family says of itself: its control tokens and a prompt format for each task it can.

A format is a pure function from a request to a Prompt; a task without one can't be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model_runtime.errors import BadPromptError
from model_runtime.prompts.pieces import Piece
from model_runtime.wire.protocol import Generate, Task


@dataclass(frozen=True, slots=True)
class Prompt:
    """`lead` is what the answer begins with although the prompt says it, not the model.

    `stop` are texts with which the model goes on to something else, beside the request's own.
    `whole` says that the pieces have what every sequence begins with, or that it has nothing.
    """

    pieces: tuple[Piece, ...]
    lead: str = ""
    stop: tuple[str, ...] = ()
    whole: bool = False


Format = Callable[[Generate], Prompt]


@dataclass(frozen=True, slots=True)
class Family:
    """`controls` are the control tokens that a tokenizer must have for the formats; `silent` those
    that may stand in an answer and are no text. `spoiled` is a sentence that says why a model that
    was tuned to conversations can't be asked in words; one that `converses` can."""

    formats: Mapping[Task, Format]
    controls: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    spoiled: str = ""
    converses: bool = False

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What a model of the family can be asked for."""
        return tuple(self.formats)

    def prompt(self, request: Generate) -> Prompt:
        """The request's prompt, uncut. Raises BadPromptError for a task the family can't."""
        if request.task not in self.formats:
            raise BadPromptError(f'This model can\'t "{request.task}".')
        return self.formats[Task(request.task)](request)
