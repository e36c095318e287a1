"""One distribution of the next token out of two: the network's and the memory's.

The memory's share is called trust. It grows with the length of the match and with how much the
places agree, and it is smaller where the network itself is sure; its weights are fitted to the
embedded model on a tuning set (benchmarks/mixing.py) and stand in that model's config.json. A model
without them gets drafts from the memory and nothing else. It knows no text and no index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from model_runtime.recall.recall import Guess, Recall


@dataclass(frozen=True, slots=True)
class Trust:
    """Weights of a logistic function of what is known before the token is.

    `match` goes with the logarithm of the matched tokens, `agreement` with the largest share,
    `places` with the logarithm of their number, `network` with the network's largest
    log-probability.
    """

    bias: float
    match: float
    agreement: float
    places: float
    network: float

    def of(self, guess: Guess, shares: Mapping[int, float], network: float) -> float:
        """The memory's share in the mixture, between 0 and 1."""
        features = features_of(guess, shares, network)
        score = sum(w * x for w, x in zip(astuple(self), features, strict=True))
        return 1 / (1 + math.exp(-score))


def features_of(guess: Guess, shares: Mapping[int, float], network: float) -> tuple[float, ...]:
    """What Trust's weights are multiplied with, in their order."""
    return 1.0, math.log(guess.match), max(shares.values()), math.log(guess.count), network


@dataclass(frozen=True, slots=True)
class Sides:
    """The network's probabilities [V], the memory's guess and its shares; `surest` is the
    network's largest log-probability."""

    network: Tensor
    guess: Guess | None
    shares: Mapping[int, float]
    surest: float


class Mixer:
    """Joins the network and the memory for one candidate.

    With `end`, the id that ends a text, the text is one line: a token that would begin the next
    line counts as its end, whoever proposes it.
    """

    def __init__(self, recall: Recall, trust: Trust, end: int | None = None) -> None:
        self._recall = recall
        self._trust = trust
        self._end = end
        self._line_ends = frozenset(recall.vocabulary.line_ends)
        self._line_end_ids = torch.tensor(recall.vocabulary.line_ends)

    def mix(self, logits: Tensor, grown: Sequence[int]) -> Tensor:
        """Log-probabilities [V] of the next token; `logits` [V] are the network's for that place.

        `grown` are the ids behind the prompt so far.
        """
        sides = self.sides(logits, grown)
        if sides.guess is None:
            return sides.network.log()
        share = self._trust.of(sides.guess, sides.shares, sides.surest)
        ids = torch.tensor(list(sides.shares), device=logits.device)
        added = torch.tensor(list(sides.shares.values()), device=logits.device)
        return (sides.network * (1 - share)).index_add_(0, ids, added * share).log()

    def sides(self, logits: Tensor, grown: Sequence[int]) -> Sides:
        """What both say, before they are joined."""
        network = torch.softmax(logits.float(), -1)
        if self._end is not None:
            ends = self._line_end_ids.to(logits.device)
            network[self._end] += network[ends].sum()
            network[ends] = 0
        guess = self._recall.guess(grown)
        shares = {} if guess is None else self._folded(guess.shares)
        return Sides(network, guess, shares, math.log(float(network.max())))

    def _folded(self, shares: Mapping[int, float]) -> Mapping[int, float]:
        if self._end is None:
            return shares
        ending = sum(share for id_, share in shares.items() if id_ in self._line_ends)
        rest = {id_: share for id_, share in shares.items() if id_ not in self._line_ends}
        return {**rest, self._end: ending} if ending else rest
