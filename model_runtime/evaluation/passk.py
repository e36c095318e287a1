"""pass@k and the language budget, from counts alone.

pass@k is the unbiased estimator of the Codex paper: of n samples of which c pass, the chance that k
drawn without replacement hold at least one that passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KS = (1, 10, 100)
# Shares of the training corpus of CodeGeeX-13B in percent, as its authors published them.
CORPUS_SHARES = {"cpp": 28.50, "python": 26.67, "java": 15.98, "js": 7.13, "go": 4.71}


@dataclass(frozen=True, slots=True)
class Count:
    """Of one problem: how many samples were run and how many passed."""

    samples: int
    passed: int


def all_fail(count: Count, k: int) -> float:
    """C(n-c, k) / C(n, k): the chance that none of k passes. Needs k <= n."""
    n, c = count.samples, count.passed
    if n - c < k:
        return 0.0
    return math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def pass_at_k(counts: Sequence[Count], k: int) -> float | None:
    """The mean over the problems; None when any of them has fewer than k samples."""
    if not counts or min(count.samples for count in counts) < k:
        return None
    return sum(1.0 - all_fail(count, k) for count in counts) / len(counts)


def budget(counts: Mapping[str, Sequence[Count]], split: Mapping[str, int]) -> float | None:
    """A problem is solved when any language solves it with its part of the samples.

    `counts` has the same problems in the same order for each language; None when one has too few
    samples.
    """
    sequences = [counts[language] for language in split]
    for language, k in split.items():
        if not counts[language] or min(count.samples for count in counts[language]) < k:
            return None
    solved = [
        1.0 - math.prod(all_fail(count, k) for count, k in zip(row, split.values(), strict=True))
        for row in zip(*sequences, strict=True)
    ]
    return sum(solved) / len(solved)


def shares(k: int, weights: Mapping[str, float]) -> dict[str, int]:
    """k split by weight into whole numbers: what rounding leaves goes to the largest remainders."""
    whole = sum(weights.values())
    exact = {name: k * weight / whole for name, weight in weights.items()}
    split = {name: math.floor(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: exact[name] - split[name], reverse=True)
    for name in by_remainder[: k - sum(split.values())]:
        split[name] += 1
    return split


def budgets(counts: Mapping[str, Sequence[Count]], k: int) -> dict[str, float | None]:
    """Best single language, uniform, and weighted by the corpus; the paper's language budget."""
    singles = [pass_at_k(sequence, k) for sequence in counts.values()]
    known = [value for value in singles if value is not None]
    return {
        "best single": max(known) if len(known) == len(singles) else None,
        "uniform": budget(counts, shares(k, dict.fromkeys(counts, 1.0))),
        "weighted": budget(counts, shares(k, {name: CORPUS_SHARES[name] for name in counts})),
    }
