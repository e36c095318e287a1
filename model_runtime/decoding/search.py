"""How candidates are found, as generation.py sees it: sampled.py and beam.py are the two ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from model_runtime.decoding.stopping import Finish
from model_runtime.wire.protocol import Candidate


@dataclass(frozen=True, slots=True)
class NextTokens:
    """The next token of each row, and with `parents` the row that it continues, else its own."""

    ids: list[int]
    parents: list[int] | None = None


class Search(Protocol):
    """It knows logits and texts, neither the network nor the KV cache."""

    tokens: int
    """How many were drawn for texts that weren't finished."""

    @property
    def width(self) -> int:
        """How many rows of logits it wants in every step."""

    @property
    def finished(self) -> bool: ...

    def advance(self, logits: Tensor) -> NextTokens:
        """Take logits [width, V] and say what each row runs next. Not when it is finished."""

    def end(self, finish: Finish) -> None:
        """Finish what still grows."""

    def candidates(self) -> list[Candidate]:
        """Those that are finished, best first."""
