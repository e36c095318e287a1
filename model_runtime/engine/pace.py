"""How long a prompt may be so that its answer begins in time: by the measured speed of reading it.

A prompt that is new to the KV cache is read before the first token is written. A GPU reads the
longest one in a moment; a processor may read 200 tokens a second, and 8,000 would take 40 s. It
knows numbers alone. The engine tells it each pass, brief.py asks it for completions: whoever gave
an order in words waits and sees that it is worked on.
"""

from __future__ import annotations

# Until the first token of a completion where nothing of the prompt is in the cache. Each further
# character at the same place is read alone.
WANTED_S = 3.0
# Some twenty lines. Fewer say little of the file; where this is more, the wait is longer.
LEAST_TOKENS = 256
# Before anything was measured.
FIRST_TOKENS = 1024
# A shorter pass takes as long as this one where the weights are read from memory.
LEAST_PASS = 32
# So many tokens halve what older passes say: the machine may be busier now.
HALF_LIFE = 1024
# A budget changes when the speed is this much beyond it: with each change the prompt begins
# elsewhere and all of it is read anew.
SURE = 1.25


class Pace:
    """`tokens` is the budget of a prompt, in coarse steps."""

    def __init__(self) -> None:
        self.tokens = FIRST_TOKENS
        self._s_per_token = 0.0

    def passed(self, tokens: int, seconds: float) -> None:
        """So many tokens of a prompt were run in so long."""
        if tokens < LEAST_PASS or seconds <= 0:
            return
        kept = 0.5 ** (tokens / HALF_LIFE) if self._s_per_token else 0.0
        self._s_per_token = kept * self._s_per_token + (1 - kept) * seconds / tokens
        possible = WANTED_S / self._s_per_token
        self.tokens = min(max(self.tokens, _step(possible / SURE)), _step(possible * SURE))


def _step(tokens: float) -> int:
    """The largest power of two or 1.5 times one that isn't above, but at least LEAST_TOKENS."""
    power = 1 << max(1, int(tokens)).bit_length() - 1
    return max(LEAST_TOKENS, power + power // 2 if tokens >= power + power // 2 else power)
