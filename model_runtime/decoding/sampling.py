"""From logits to the next token, by the reference implementation's rules.

The order is: padding ids out, float32, temperature, top-k, top-p, softmax, draw. It knows no text
and keeps no state; the random generator is the caller's. The engine calls choose() once a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model_runtime.errors import BadPromptError

# Below this the softmax is one-hot for any gap between logits over 0.1, and dividing by much
# smaller numbers overflows float32: it is taken as greedy.
MIN_TEMPERATURE = 1e-3
# Far below it every token is as likely as any other, and far above it float32 ends.
MAX_TEMPERATURE = 1e6


@dataclass(frozen=True, slots=True)
class Sampling:
    """`temperature` 0, `top_k` 1 and `top_p` 0 take the likeliest token; `top_k` 0 and `top_p` 1
    are off. Raises BadPromptError."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise BadPromptError(
                f"temperature is {self.temperature}; it must be from 0 to {MAX_TEMPERATURE:,.0f}."
            )
        if self.top_k < 0:
            raise BadPromptError(f"top_k is {self.top_k}; it must be 0 or more.")
        if not 0 <= self.top_p <= 1:
            raise BadPromptError(f"top_p is {self.top_p}; it must be from 0 to 1.")

    @property
    def greedy(self) -> bool:
        return self.temperature < MIN_TEMPERATURE or self.top_k == 1 or self.top_p == 0


def choose(
    logits: Tensor,
    sampling: Sampling,
    usable: int,
    generator: torch.Generator | None,
    greedy_rows: int = 0,
) -> tuple[Tensor, Tensor]:
    """The next token of each row: ids [B] and their log-probabilities [B], from logits [B, V].

    Ids at or above `usable` are padding of the table and never chosen. The first `greedy_rows`
    rows take the likeliest token whatever `sampling` says. The log-probability is that of the model
    itself, before temperature and filters.
    """
    logits = logits[:, :usable].float()
    logprobs = logits.log_softmax(dim=-1)
    ids = logits.argmax(dim=-1)
    if not sampling.greedy and greedy_rows < len(ids):
        probabilities = filtered(logits[greedy_rows:], sampling).softmax(dim=-1)
        drawn = torch.multinomial(probabilities, 1, generator=generator)
        ids[greedy_rows:] = drawn.squeeze(1)
    return ids, logprobs.gather(1, ids.unsqueeze(1)).squeeze(1)


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits [B, V] after temperature, top-k and top-p; what was dropped is -inf.

    As in the reference a `top_p` of 0 drops nothing here; it never comes here, being greedy.
    """
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest_kept = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest_kept, -math.inf)
    if 0 < sampling.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        beyond = ordered.softmax(dim=-1).cumsum(dim=-1) > sampling.top_p
        # Shifted by one: the token that crosses top_p stays, and so does the first.
        dropped = torch.zeros_like(beyond).scatter_(1, order[:, 1:], beyond[:, :-1])
        logits = logits.masked_fill(dropped, -math.inf)
    return logits
