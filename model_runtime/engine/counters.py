"""What the runtime has done so far: the figures behind `codegeex-runtime status`.

It knows numbers only. The threads that compute count the work, the event loop the answers.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from model_runtime.wire.protocol import Embedding, Failure, Result

REMEMBERED_LATENCIES = 500


@dataclass(slots=True)
class Spent:
    """What one request cost. A step is one pass through the network."""

    prefill_s: float = 0.0
    decode_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    steps: int = 0
    steps_after_cancel: int = 0

    def step(self, cancelled: bool) -> None:
        """A step ended; `cancelled` says that it was no longer wanted by then."""
        self.steps += 1
        self.steps_after_cancel += cancelled


@dataclass(slots=True)
class Work:
    """What all requests cost together, written by several threads.

    `steps_after_cancel` is the most that any one request had under way or began after its cancel
    flag was set; more than 1 is a bug.
    """

    total: Spent = field(default_factory=Spent)
    cancelled: int = 0
    steps_after_cancel: int = 0
    slowest_cancel_ms: float = 0.0
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def add(self, spent: Spent) -> None:
        with self._writing:
            total = self.total
            total.prefill_s += spent.prefill_s
            total.decode_s += spent.decode_s
            total.prompt_tokens += spent.prompt_tokens
            total.cached_tokens += spent.cached_tokens
            total.generated_tokens += spent.generated_tokens
            total.drafted_tokens += spent.drafted_tokens
            total.accepted_tokens += spent.accepted_tokens
            total.steps += spent.steps

    def freed(self, spent: Spent, elapsed_ms: float) -> None:
        """A cancelled request gave the engine back, so long after its flag was set."""
        with self._writing:
            self.cancelled += 1
            self.steps_after_cancel = max(self.steps_after_cancel, spent.steps_after_cancel)
            self.slowest_cancel_ms = max(self.slowest_cancel_ms, elapsed_ms)

    def report(self) -> dict[str, Any]:
        total = self.total
        return {
            "steps": total.steps,
            "generated_tokens": total.generated_tokens,
            "tokens_per_s": _ratio(total.generated_tokens, total.decode_s),
            "cache_hit_share": _ratio(total.cached_tokens, total.prompt_tokens),
            "cancel": {
                "count": self.cancelled,
                "slowest_ms": self.slowest_cancel_ms,
                "steps_after": self.steps_after_cancel,
            },
        }


@dataclass(slots=True)
class Answers:
    """Written by the event loop. Latencies are from arrival to result, in milliseconds;
    an embedding is as long as its texts are many and counts as an outcome only."""

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_LATENCIES))

    def add(self, reply: Result | Embedding | Failure, latency_ms: float = 0.0) -> None:
        if isinstance(reply, Failure):
            self.outcomes[str(reply.reason)] += 1
            return
        self.outcomes[type(reply).__name__.lower()] += 1
        if isinstance(reply, Result):
            self.latencies_ms.append(latency_ms)

    def report(self) -> dict[str, Any]:
        ordered = sorted(self.latencies_ms)
        return {
            "requests": dict(self.outcomes),
            "latency_ms": {"p50": _quantile(ordered, 0.5), "p95": _quantile(ordered, 0.95)},
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[int(share * (len(ordered) - 1))] if ordered else None
