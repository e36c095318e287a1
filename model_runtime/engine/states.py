"""Where a request stands with its rows of the KV cache, and the pieces of work that it wants run.

    Waiting       has no rows
    Prefilling    runs its prompt in a slot, and behind it what a single candidate already has
    Prefilled     has the logits behind the prompt, and waits for a row for each candidate
    Decoding      runs what its candidates drew, a row each

It may give way in any of them and is Waiting again. Finished is no state of the rows: a request is,
when its search is. generation.py goes from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from model_runtime.networks.kv_cache import Slot


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens [B][T] to run at positions start .. start+T-1 of the rows with these numbers.

    The last `drafted` of a single row are guesses: then the logits of all positions are wanted.
    """

    ids: list[list[int]]
    rows: list[int]
    start: int
    drafted: int = 0

    @property
    def length(self) -> int:
        return len(self.ids[0])


@dataclass(slots=True)
class Waiting:
    """For a slot."""


@dataclass(slots=True)
class Prefilling:
    """`pending` is what the slot lacks, from `start` on."""

    slot: Slot
    pending: list[int]
    start: int


@dataclass(slots=True)
class Prefilled:
    """`logits` [1, V] are those behind the prompt."""

    slot: Slot
    logits: Tensor


@dataclass(slots=True)
class Decoding:
    """`pending` is what each of `rows` is to run from `start` on: the token that was drawn last, or
    all that its candidate has. Without `branches` the one row is the slot's own."""

    slot: Slot
    pending: list[list[int]]
    start: int
    branches: list[int] = field(default_factory=list)

    @property
    def rows(self) -> list[int]:
        return self.branches or [self.slot.index]


State = Waiting | Prefilling | Prefilled | Decoding
