"""Candidates drawn independently of each other, each a row of logits of its own.

It knows logits and continuations, neither the network nor the KV cache. generation.py hands it the
logits of each step; beam.py is the other way to find candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model_runtime.decoding.continuation import Continuation
from model_runtime.decoding.mixing import Mixer
from model_runtime.decoding.sampling import Sampling, choose
from model_runtime.decoding.search import NextTokens
from model_runtime.decoding.stopping import Finish
from model_runtime.wire.protocol import Candidate

# What torch's generators take as a seed.
SEED_MASK = 2**63 - 1


class Sampled:
    """`growing` has one continuation a row; `tokens` is how many were drawn for them.

    `mixer` adds what the memory says to the network's logits.
    With `best_first` the first of several is greedy and stays in front whatever `sampling` says.
    """

    def __init__(
        self,
        growing: Sequence[Continuation],
        sampling: Sampling,
        usable: int,
        *,
        seed: int = 0,
        best_first: bool = True,
        mixer: Mixer | None = None,
    ) -> None:
        self.tokens = 0
        self._growing = list(growing)
        self._sampling = sampling
        self._usable = usable
        self._seed = seed & SEED_MASK
        self._generator: torch.Generator | None = None
        self._fixed = int(best_first)
        self._mixer = mixer

    @property
    def width(self) -> int:
        return len(self._growing)

    @property
    def finished(self) -> bool:
        return all(continuation.finished for continuation in self._growing)

    def advance(self, logits: Tensor) -> NextTokens:
        """Draw a token a row from logits [width, V]; rows that are finished draw for nothing."""
        if self._generator is None:
            self._generator = torch.Generator(logits.device).manual_seed(self._seed)
        if self._mixer is not None:
            logits = self._mixed(logits, self._mixer)
        greedy_rows = self._fixed if self.width > 1 else 0
        drawn, logprobs = choose(logits, self._sampling, self._usable, self._generator, greedy_rows)
        ids = drawn.tolist()
        for continuation, token, logprob in zip(self._growing, ids, logprobs.tolist(), strict=True):
            if not continuation.finished:
                continuation.push(token, logprob)
                self.tokens += 1
        return NextTokens(ids)

    def _mixed(self, logits: Tensor, mixer: Mixer) -> Tensor:
        rows = zip(logits, self._growing, strict=True)
        return torch.stack([mixer.mix(row, continuation.ids) for row, continuation in rows])

    def end(self, finish: Finish) -> None:
        """Finish all that still grow."""
        for continuation in self._growing:
            continuation.end(finish)

    def candidates(self) -> list[Candidate]:
        """By mean log-probability, the greedy one in front if it was asked for."""
        first, rest = self._growing[: self._fixed], self._growing[self._fixed :]
        rest = sorted(rest, key=lambda one: one.mean_logprob, reverse=True)
        return [continuation.candidate() for continuation in first + rest]
