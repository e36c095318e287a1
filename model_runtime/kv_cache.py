"""Keys and values of past positions, kept between requests so that typing on re-uses them.

One static block of memory: `slots` rows hold one document each and remember their tokens,
`branches` rows are scratch for several candidates of one request. It knows token ids and shapes,
neither text nor the network. The engine's thread is the only caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model_runtime.errors import BadPromptError

# A slot is worth re-using when it holds at least this share of the prompt. Below it (a tag line in
# common, say) the least recently used slot is taken and the other document keeps its own.
WORTHWHILE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Rows:
    """B rows: a view of keys and of values a layer, [R, heads, context, head_dim].

    Without `index` the rows are those of the views, B = R. With it, int64 [B] on their device, they
    are the R rows it names, in its order: reading them copies, about what reading them costs.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    index: Tensor | None = None

    @property
    def context(self) -> int:
        """How many positions fit."""
        return self.keys[0].shape[2]


class Span:
    """Where one token or more a row go, the same positions in each: `start` and those after it.

    The rows must be neighbours, without an index.
    """

    def __init__(self, rows: Rows, start: int) -> None:
        self._rows = rows
        self._start = start

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, heads, T, head_dim]; return views of everything up to their end."""
        length = key.shape[2]
        keys, values = self._rows.keys[layer], self._rows.values[layer]
        keys.narrow(2, self._start, length).copy_(key)
        values.narrow(2, self._start, length).copy_(value)
        end = self._start + length
        return keys.narrow(2, 0, end), values.narrow(2, 0, end)


class Points:
    """Where one token a row goes, each at its own of `positions` [B], int64 on the device.

    `visible` positions of each row are read. No value of a tensor is looked at.
    """

    def __init__(self, rows: Rows, positions: Tensor, visible: int) -> None:
        self._rows = rows
        self._positions = positions
        self._visible = visible
        self._row_numbers = rows.index
        if rows.index is None:
            self._row_numbers = torch.arange(len(positions), device=positions.device)

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, heads, 1, head_dim]; return the first `visible` positions of each row."""
        return self._store(self._rows.keys[layer], key), self._store(
            self._rows.values[layer], value
        )

    def _store(self, storage: Tensor, new: Tensor) -> Tensor:
        storage[self._row_numbers, :, self._positions] = new.squeeze(2).to(storage.dtype)
        seen = storage.narrow(2, 0, self._visible)
        return seen if self._rows.index is None else seen.index_select(0, self._rows.index)


@dataclass(slots=True, eq=False)
class Slot:
    """One row and the tokens whose keys and values it holds. Give it back with release()."""

    index: int
    rows: Rows
    tokens: list[int] = field(default_factory=list)
    reused: int = 0
    in_use: bool = False
    last_used: int = 0

    def append(self, ids: Sequence[int]) -> None:
        """Say that `ids` were run at the positions after `tokens`. Raises BadPromptError."""
        total = len(self.tokens) + len(ids)
        if total > self.rows.context:
            raise BadPromptError(
                f"The prompt and its continuation need {total} positions, "
                f"and the model has {self.rows.context}."
            )
        self.tokens.extend(ids)

    def release(self) -> None:
        """Free the slot; its tokens stay for the next request that shares them."""
        self.in_use = False


class KVCache:
    """Static storage [layers, rows, heads, context, head_dim] for keys and values.

    `layers` counts the top query layer; `branches` is the largest number of candidates at once.
    """

    def __init__(
        self,
        *,
        layers: int,
        heads: int,
        head_dim: int,
        context: int,
        slots: int,
        branches: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (layers, slots + branches, heads, context, head_dim)
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros(shape, dtype=dtype, device=device)
        self._context = context
        self._branches = branches
        self._slots = [Slot(index, self._rows(index, 1)) for index in range(slots)]
        self._clock = 0

    @property
    def bytes(self) -> int:
        return self._keys.nbytes + self._values.nbytes

    def acquire(self, ids: Sequence[int]) -> Slot | None:
        """The free slot to run the prompt `ids` in, or None when all are in use.

        It is the one sharing the longest beginning with `ids`, or the least recently used one
        where that beginning isn't worthwhile. `slot.reused` positions need not be run again; it is
        at most len(ids) - 1, because the last token's logits are always needed. Raises
        BadPromptError when `ids` is empty or longer than the context.
        """
        if not 0 < len(ids) <= self._context:
            raise BadPromptError(
                f"The prompt has {len(ids)} tokens; it must have 1 to {self._context}."
            )
        free = [slot for slot in self._slots if not slot.in_use]
        if not free:
            return None
        slot = max(free, key=lambda slot: _common_prefix(slot.tokens, ids))
        if _common_prefix(slot.tokens, ids) < WORTHWHILE_SHARE * len(ids):
            slot = min(free, key=lambda slot: slot.last_used)
        self._clock += 1
        slot.last_used = self._clock
        slot.in_use = True
        slot.reused = min(_common_prefix(slot.tokens, ids), len(ids) - 1)
        del slot.tokens[slot.reused :]
        return slot

    def branch(self, slot: Slot, length: int, count: int) -> Rows:
        """Copy the first `length` positions of `slot` to `count` rows: n candidates, one prefill.

        There is one set of branch rows: the next call overwrites them, so only one request at a
        time may decode several candidates. Raises BadPromptError when `count` is more than the
        branches there are.
        """
        if not 0 < count <= self._branches:
            raise BadPromptError(
                f"{count} candidates were asked for; at most {self._branches} are possible."
            )
        if length > len(slot.tokens):
            raise ValueError(f"{length} positions of a slot that holds {len(slot.tokens)}")
        first = len(self._slots)
        for storage in (self._keys, self._values):
            source = storage[:, slot.index : slot.index + 1, :, :length]
            storage[:, first : first + count, :, :length].copy_(
                source.expand(-1, count, -1, -1, -1)
            )
        return self._rows(first, count)

    def _rows(self, first: int, count: int) -> Rows:
        return Rows(
            keys=self._keys[:, first : first + count].unbind(0),
            values=self._values[:, first : first + count].unbind(0),
        )


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
