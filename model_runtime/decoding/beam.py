"""Beam search: the likeliest texts as wholes, instead of the likeliest token each time.

Each step keeps the `width` likeliest extensions of all beams; those that end leave the beam, and
the likeliest of the finished are the answer. The score is the mean log-probability of a text's
tokens, the one that ended it included (Wu et al. 2016, arXiv:1609.08144, section 7, with alpha 1):
a plain sum prefers short texts. It knows logits and continuations, neither network nor KV cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from model_runtime.decoding.continuation import Continuation
from model_runtime.decoding.search import NextTokens
from model_runtime.decoding.stopping import Finish
from model_runtime.wire.protocol import Candidate


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text on its way: `logprob` is the sum over its `length` tokens."""

    text: Continuation
    logprob: float = 0.0
    length: int = 0

    @property
    def score(self) -> float:
        return self.logprob / max(1, self.length)

    def extended(self, token: int, logprob: float) -> Hypothesis:
        text = self.text.fork()
        text.push(token, logprob - self.logprob)
        return Hypothesis(text, logprob, self.length + 1)


class Beams:
    """`root` is the empty text, `longest` the most tokens it may get, `wanted` how many to find.

    It ends when no text on its way could still be among the best `wanted`: tokens yet to come can
    at most be certain, so a text's score never rises above its sum over `longest`.
    """

    def __init__(
        self, root: Continuation, width: int, wanted: int, usable: int, longest: int
    ) -> None:
        self.tokens = 0
        self.width = width
        self._wanted = min(wanted, width)
        self._usable = usable
        self._longest = longest
        self._live = [Hypothesis(root)]
        self._ended: list[Hypothesis] = []

    @property
    def finished(self) -> bool:
        if not self._live or len(self._ended) < self._wanted:
            return not self._live
        reachable = max(beam.logprob for beam in self._live) / self._longest
        return self._best()[-1].score >= reachable

    def advance(self, logits: Tensor) -> NextTokens:
        """The next beams, from logits [width, V]; a row beyond the beams there are is ignored."""
        self.tokens += len(self._live)
        logprobs = logits[: len(self._live), : self._usable].float().log_softmax(dim=-1)
        sums = logprobs + logprobs.new_tensor([[beam.logprob] for beam in self._live])
        likeliest = sums.flatten().topk(min(self.width, sums.numel()))
        before, self._live = self._live, []
        ids: list[int] = []
        parents: list[int] = []
        for logprob, place in zip(*(part.tolist() for part in likeliest), strict=True):
            if logprob == -math.inf:
                break
            parent, token = divmod(place, self._usable)
            beam = before[parent].extended(token, logprob)
            if beam.text.finished:
                self._ended.append(beam)
            else:
                self._live.append(beam)
                ids.append(token)
                parents.append(parent)
        unused = self.width - len(ids) if ids else 0
        return NextTokens(ids + ids[:1] * unused, parents + parents[:1] * unused)

    def end(self, finish: Finish) -> None:
        """Finish all that still grow."""
        for beam in self._live:
            if beam.length:
                beam.text.end(finish)
                self._ended.append(beam)
        self._live = []

    def candidates(self) -> list[Candidate]:
        return [beam.text.candidate() for beam in self._best()]

    def _best(self) -> list[Hypothesis]:
        ordered = sorted(self._ended, key=lambda beam: beam.score, reverse=True)
        return ordered[: self._wanted]
