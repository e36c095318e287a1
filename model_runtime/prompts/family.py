"""What a model family says of itself: its control tokens and a prompt format for each task it can.

A format is a pure function from a request to a Prompt; a task without one can't be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model_runtime.prompts.pieces import Piece
from model_runtime.protocol import Generate, Task


@dataclass(frozen=True, slots=True)
class Prompt:
    """`lead` is what the answer begins with although the prompt says it, not the model.

    `stop` are texts with which the model goes on to something else, beside the request's own.
    """

    pieces: tuple[Piece, ...]
    lead: str = ""
    stop: tuple[str, ...] = ()


Format = Callable[[Generate], Prompt]


@dataclass(frozen=True, slots=True)
class Family:
    """`controls` are the control tokens that a tokenizer must have for the formats."""

    formats: Mapping[Task, Format]
    controls: tuple[str, ...] = ()
