"""How long an automatic request waits for the next keystroke before the model is asked.

The pause is short on purpose. Editors wait themselves (Neovim 200 ms, JetBrains 300 ms, VS Code
joins fast keystrokes) and VS Code drops an automatic request about 650 ms after it was sent, so a
long pause loses suggestions. Waiting spares little either: a superseded request frees the engine
within one decode step and its prompt stays cached. Only bursts are worth waiting out.

Knows no clock: times are monotonic seconds and passed in. Called by the completer.
"""

from __future__ import annotations

from codegeex_lsp.completion.context import Context

MAX_PAUSE_S = 0.075
# A share of the usual interval: a key that comes sooner than this belongs to a burst.
BURST_SHARE = 0.6
# A longer gap is thinking, not typing, and says nothing about the next interval.
LONGEST_INTERVAL_S = 1.0
FIRST_INTERVAL_S = 0.2
FIRST_LATENCY_S = 0.05
# Weight of the newest value: the averages follow a change within about five keystrokes.
NEWEST = 0.3


class Pacing:
    """Moving averages of one user's typing interval and of the model's latency."""

    def __init__(self) -> None:
        self._interval_s = FIRST_INTERVAL_S
        self._latency_s = FIRST_LATENCY_S
        self._last_key: float | None = None

    def keystroke(self, now: float) -> None:
        """A document changed at `now`."""
        interval = now - self._last_key if self._last_key is not None else LONGEST_INTERVAL_S
        if 0 < interval < LONGEST_INTERVAL_S:
            self._interval_s += NEWEST * (interval - self._interval_s)
        self._last_key = now

    def answered(self, latency: float) -> None:
        """The model took `latency` seconds for a request."""
        self._latency_s += NEWEST * (latency - self._latency_s)

    def pause(self, now: float, *, invoked: bool, context: Context) -> float:
        """Seconds from `now` to wait, at most MAX_PAUSE_S.

        Nothing for a request somebody asked for, nor at the start of a line, where people look up.
        A slow model gets no pause: it takes longer than the burst anyway. What has passed since the
        last keystroke counts, so an editor that waited 200 ms itself isn't delayed again.
        """
        if invoked or context.at_line_start:
            return 0.0
        wanted = min(BURST_SHARE * self._interval_s - self._latency_s, MAX_PAUSE_S)
        waited = now - self._last_key if self._last_key is not None else wanted
        return max(0.0, wanted - max(0.0, waited))
