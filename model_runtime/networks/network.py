"""What the engine asks of any network, whatever computes it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from model_runtime.networks.kv_cache import Rows


class Network(Protocol):
    """B rows of a KV cache are read and written; logits are float32. Raises BadPromptError when the
    positions run past the rows."""

    @property
    def recordable(self) -> bool:
        """Whether a step depends on no tensor's values, so that a CUDA graph can replay it."""

    def __call__(
        self, ids: Tensor, rows: Rows, start: int, *, all_positions: bool = False
    ) -> Tensor:
        """Ids [B, T] at `start` of each row: the last position's logits [B, V], or all [B, T, V].

        An encoder-decoder reads its source at 0, which gives [B, 0], and knows no `all_positions`.
        """

    def step(self, ids: Tensor, positions: Tensor, rows: Rows, visible: int) -> Tensor:
        """One token a row, ids [B], each at its own of `positions` [B]: the logits [B, V].

        `visible` is more than the largest position; the caller checks that the positions fit.
        """
