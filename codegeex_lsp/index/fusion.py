"""Several rankings of places as one, by reciprocal rank fusion. Pure.

Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", SIGIR 2009. Scores of BM25 and cosines don't compare, ranks do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegeex_lsp.index.places import Place

# The paper's own: a first place counts little more than a tenth, so that two rankings that agree
# outweigh one that is sure.
SMOOTHING = 60
# So deep is each ranking looked at.
DEPTH = 50


def fused(rankings: Sequence[Sequence[Place]], limit: int) -> list[Place]:
    """The best places by all rankings; the score of one that is first in all of them is 1."""
    scores: dict[tuple[str, int], float] = {}
    places: dict[tuple[str, int], Place] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, 1):
            where = place.path, place.first
            share = (SMOOTHING + 1) / (SMOOTHING + rank) / len(rankings)
            scores[where] = scores.get(where, 0.0) + share
            places.setdefault(where, place)
    best = sorted(places, key=lambda where: (-scores[where], where))
    return [replace(places[where], score=scores[where]) for where in best[:limit]]
