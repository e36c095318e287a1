"""Keys and values of past positions, kept between requests so that typing on re-uses them.

`slots` rows hold one document each and remember their tokens, `branches` rows are scratch for the
candidates of requests that want several. What is written to a row takes memory on a CPU, and what
nobody needs any longer gives it back (kv_storage.py). It knows token ids and shapes, neither text
nor the network. The engine's thread is the only caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from model_runtime.errors import BadPromptError
from model_runtime.networks.kv_storage import Storage

# A slot is worth re-using when it holds at least this share of the prompt. Below it (a tag line in
# common, say) the least recently used slot is taken and the other document keeps its own.
WORTHWHILE_SHARE = 0.25

# A cache that shrinks keeps enough for a screenful before the cursor.
SHORTEST_CONTEXT = 256
# Positions behind a new prompt that may keep the memory of an older and longer text: what is
# written there next takes it again.
KEPT_BEHIND = 512
# A text that so many requests for others came after gives its memory back.
FORGOTTEN_AFTER = 256


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Rows:
    """B rows: a view of keys and of values a layer, [R, heads, context, head_dim].

    Without `index` the rows are those of the views, B = R. With it, int64 [B] on their device, they
    are the R rows it names, in its order. `runs` may name the same rows as (first, count) of
    neighbours: then attention takes each run by itself and copies nothing. Without runs it gathers
    the rows, which a CUDA graph can replay for other rows too.

    `sources`, int64 [R] on their device, is an encoder-decoder's: how many positions of each row
    hold what its decoder reads of the encoder. Other networks leave it alone.

    Equal to itself alone: a network may keep what it made for these rows as long as they live.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    index: Tensor | None = None
    runs: tuple[tuple[int, int], ...] = ()
    sources: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))

    @property
    def context(self) -> int:
        """How many positions fit."""
        return self.keys[0].shape[2]

    def span(self, start: int) -> Span:
        """Where tokens from position `start` on go."""
        return Span(self, start)


class Span:
    """Where one token or more a row go, the same positions in each: `start` and those after it.

    The rows must be neighbours, without an index.
    """

    def __init__(self, rows: Rows, start: int) -> None:
        self._rows = rows
        self._start = start

    def write(self, layer: int, key: Tensor, value: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Store [B, heads, T, head_dim]; give views of everything up to their end, as one run."""
        length = key.shape[2]
        keys, values = self._rows.keys[layer], self._rows.values[layer]
        keys.narrow(2, self._start, length).copy_(key)
        values.narrow(2, self._start, length).copy_(value)
        end = self._start + length
        return [(keys.narrow(2, 0, end), values.narrow(2, 0, end))]


class Points:
    """Where one token a row goes, each at its own of `positions` [B], int64 on the device.

    `visible` positions of each row are read. No value of a tensor is looked at.
    """

    def __init__(self, rows: Rows, positions: Tensor, visible: int) -> None:
        self._rows = rows
        self._positions = positions
        self._visible = visible
        self._index = rows.index
        if rows.index is None:
            self._index = torch.arange(len(positions), device=positions.device)

    def write(self, layer: int, key: Tensor, value: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Store [B, heads, 1, head_dim]; give the visible keys and values of each run of rows."""
        keys = self._store(self._rows.keys[layer], key)
        values = self._store(self._rows.values[layer], value)
        if self._rows.runs:
            return [
                (keys.narrow(0, first, count), values.narrow(0, first, count))
                for first, count in self._rows.runs
            ]
        index = self._rows.index
        if index is None:
            return [(keys, values)]
        return [(keys.index_select(0, index), values.index_select(0, index))]

    def _store(self, storage: Tensor, new: Tensor) -> Tensor:
        storage[self._index, :, self._positions] = new.squeeze(2).to(storage.dtype)
        return storage.narrow(2, 0, self._visible)


@dataclass(slots=True, eq=False)
class Slot:
    """One row and the tokens whose keys and values it holds. Give it back with release().

    `longest` positions of it were written to and take memory.
    """

    index: int
    rows: Rows
    tokens: list[int] = field(default_factory=list)
    reused: int = 0
    in_use: bool = False
    last_used: int = 0
    longest: int = 0

    def append(self, ids: Sequence[int]) -> None:
        """Say that `ids` were run at the positions after `tokens`. Raises BadPromptError."""
        total = len(self.tokens) + len(ids)
        if total > self.rows.context:
            raise BadPromptError(
                f"The prompt and its continuation need {total} positions, "
                f"and the model has {self.rows.context}."
            )
        self.tokens.extend(ids)
        self.longest = max(self.longest, total)

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
        self._row_shape = layers, heads, head_dim
        self._dtype = dtype
        self._device = device
        self._clock = 0
        self._allocate(context, slots, branches)

    def _allocate(self, context: int, slots: int, branches: int) -> None:
        """Raises MemoryError or RuntimeError, and then there are no slots."""
        layers, heads, head_dim = self._row_shape
        shape = (layers, slots + branches, heads, context, head_dim)
        self.context, self.slots, self.branches = context, slots, branches
        self._storages = tuple(
            Storage(shape, self._dtype, self._device) for _ in ("keys", "values")
        )
        self._views: dict[tuple[int, int], Rows] = {}
        rows = slots + branches
        self._sources = torch.zeros(rows, dtype=torch.long, device=self._device)
        self._slots = [Slot(index, self.rows([index])) for index in range(slots)]
        self._free_branches = list(range(slots, rows))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        """Of keys and of values."""
        return tuple(storage.tensor for storage in self._storages)

    @property
    def bytes(self) -> int:
        """What it takes when every position of every row is in use."""
        return sum(tensor.nbytes for tensor in self._tensors)

    @property
    def description(self) -> str:
        return f"{self.slots} slots and {self.branches} branches of {self.context} positions"

    def shrink(self) -> bool:
        """Forget everything and take less memory: fewer rows first, then shorter ones.

        No slot may be in use. False when it is as small as it gets. When there is no memory for
        any smaller one either, the error is raised and the cache is as large as before.
        """
        before = self.context, self.slots, self.branches
        if not (smaller := list(_smaller(*before))):
            return False
        self._storages, self._views, self._slots = (), {}, []
        for size in smaller:
            try:
                self._allocate(*size)
                return True
            except (MemoryError, RuntimeError) as error:  # torch's are RuntimeErrors
                refused = error
        with suppress(MemoryError, RuntimeError):  # acquire() tries again
            self._allocate(*before)
        raise refused

    def acquire(self, ids: Sequence[int], whole: int = 0) -> Slot | None:
        """The free slot to run the prompt `ids` in, or None when all are in use.

        It is the one sharing the longest beginning with `ids`, or the least recently used one
        where that beginning isn't worthwhile. `slot.reused` positions need not be run again; it is
        at most len(ids) - 1, because the last token's logits are always needed. The first `whole`
        tokens are re-used together or not at all: each of them may look at all of them. Raises
        BadPromptError when `ids` is empty or longer than the context.
        """
        if not 0 < len(ids) <= self.context:
            raise BadPromptError(
                f"The prompt has {len(ids)} tokens; it must have 1 to {self.context}."
            )
        if not self._slots:
            self._allocate(self.context, self.slots, self.branches)
        free = [slot for slot in self._slots if not slot.in_use]
        if not free:
            return None
        slot = max(free, key=lambda slot: _shared(slot.tokens, ids, whole))
        if _shared(slot.tokens, ids, whole) < WORTHWHILE_SHARE * len(ids):
            slot = min(free, key=lambda slot: slot.last_used)
        self._clock += 1
        slot.last_used = self._clock
        slot.in_use = True
        slot.reused = min(_shared(slot.tokens, ids, whole), len(ids) - 1)
        del slot.tokens[slot.reused :]
        if slot.longest > len(ids) + KEPT_BEHIND:
            self._forget(slot.index, len(ids))
            slot.longest = len(ids)
        self._drop_old()
        return slot

    def branch(self, slot: Slot, count: int) -> list[int] | None:
        """Copy `slot` to `count` rows of its own: n candidates, one prefill.

        The numbers of the rows, or None while other requests hold too many; give them back with
        give_back(). Raises BadPromptError when `count` is more than the branches there are.
        """
        if not 0 < count <= self.branches:
            raise BadPromptError(
                f"{count} candidates were asked for; at most {self.branches} are possible."
            )
        if count > len(self._free_branches):
            return None
        taken = _neighbours(sorted(self._free_branches), count)
        self._free_branches = [row for row in self._free_branches if row not in taken]
        length = len(slot.tokens)
        for tensor in self._tensors:
            for row in taken:
                tensor[:, row, :, :length].copy_(tensor[:, slot.index, :, :length])
        self._sources[taken] = self._sources[slot.index].clone()
        return taken

    def give_back(self, rows: Sequence[int]) -> None:
        """The branch rows are free again, and nobody needs what they hold."""
        self._free_branches.extend(rows)
        for row in rows:
            self._forget(row)

    def _drop_old(self) -> None:
        """The texts that nobody came back to leave their memory to the system."""
        for slot in self._slots:
            if not slot.in_use and slot.longest and self._clock - slot.last_used >= FORGOTTEN_AFTER:
                slot.tokens.clear()
                self._forget(slot.index)
                slot.longest = 0

    def _forget(self, row: int, start: int = 0) -> None:
        for storage in self._storages:
            storage.forget(row, start)

    def reorder(self, rows: Sequence[int], parents: Sequence[int], start: int, end: int) -> None:
        """Give each of `rows` what its parent, a place in `rows`, holds from `start` to `end`."""
        moved = [(row, rows[parent]) for row, parent in zip(rows, parents, strict=True)]
        moved = [(row, parent) for row, parent in moved if row != parent]
        targets = torch.tensor([row for row, _ in moved], device=self._device)
        sources = torch.tensor([parent for _, parent in moved], device=self._device)
        for tensor in self._tensors if moved else ():
            span = tensor.narrow(3, start, end - start)
            span[:, targets] = span[:, sources]

    def rows(self, numbers: Sequence[int]) -> Rows:
        """The rows of these numbers, in this order."""
        runs = _runs(numbers)
        if len(runs) == 1:
            return self._view(*runs[0])
        everything = self._view(0, self.slots + self.branches)
        index = torch.tensor(numbers, device=self._device)
        # On a CPU each run by itself is up to three times as fast as gathering.
        return replace(
            everything, index=index, runs=tuple(runs) if self._device.type == "cpu" else ()
        )

    def neighbours(self, numbers: Sequence[int]) -> Iterator[tuple[int, Rows]]:
        """The rows of these numbers in parts that lie beside each other, each with its length."""
        for first, count in _runs(numbers):
            yield count, self._view(first, count)

    def _view(self, first: int, count: int) -> Rows:
        if (first, count) not in self._views:
            keys, values = (tensor[:, first : first + count] for tensor in self._tensors)
            self._views[first, count] = Rows(
                keys=keys.unbind(0),
                values=values.unbind(0),
                sources=self._sources[first : first + count],
            )
        return self._views[first, count]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """[4, 5, 6, 2] is (4, 3), (2, 1)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == sum(runs[-1]):
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((number, 1))
    return runs


def _neighbours(numbers: Sequence[int], count: int) -> list[int]:
    """The first `count` of the sorted `numbers` that follow each other, else any."""
    for first, length in _runs(numbers):
        if length >= count:
            return list(range(first, first + count))
    return list(numbers[:count])


def _smaller(context: int, slots: int, branches: int) -> Iterator[tuple[int, int, int]]:
    """Ever smaller caches as (context, slots, branches)."""
    while slots + branches > 1:
        slots, branches = max(1, slots // 2), branches // 2
        yield context, slots, branches
    while context > SHORTEST_CONTEXT:
        context = max(SHORTEST_CONTEXT, context // 2)
        yield context, slots, branches


def _shared(tokens: Sequence[int], ids: Sequence[int], whole: int) -> int:
    """The length of their common beginning, which is nothing when it ends within `whole`."""
    common = _common_prefix(tokens, ids)
    return common if common >= whole else 0


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
