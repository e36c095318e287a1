from __future__ import annotations

import pytest
from marked import context_of

from codegeex_lsp.completion.pacing import MAX_PAUSE_S, Pacing

IN_LINE = context_of("x = 1‸")
LINE_START = context_of("def f():\n    ‸")


def typed(interval: float, latency: float) -> Pacing:
    """Forty keystrokes every `interval` seconds, the last at time 0; answers take `latency`."""
    pacing = Pacing()
    for index in range(40):
        pacing.keystroke((index - 39) * interval)
        pacing.answered(latency)
    return pacing


def assert_pause(interval: float, latency: float, expected: float, now: float = 0.0) -> None:
    pause = typed(interval, latency).pause(now, invoked=False, context=IN_LINE)
    assert pause == pytest.approx(expected, abs=1e-3)


def test_a_fast_model_waits_for_the_rest_of_a_burst() -> None:
    assert_pause(interval=0.15, latency=0.03, expected=0.06)


def test_the_pause_is_never_long() -> None:
    assert_pause(interval=0.9, latency=0.0, expected=MAX_PAUSE_S)


def test_a_slow_model_starts_at_once() -> None:
    assert_pause(interval=0.15, latency=0.5, expected=0.0)


def test_time_since_the_keystroke_counts() -> None:
    assert_pause(interval=0.15, latency=0.03, expected=0.04, now=0.02)
    assert_pause(interval=0.15, latency=0.03, expected=0.0, now=0.2)


def test_no_pause_when_asked_for_or_at_a_line_start() -> None:
    pacing = typed(0.15, 0.03)
    assert pacing.pause(0.0, invoked=True, context=IN_LINE) == 0
    assert pacing.pause(0.0, invoked=False, context=LINE_START) == 0


def test_a_thinking_break_is_not_an_interval() -> None:
    pacing = typed(0.15, 0.03)
    pacing.keystroke(600.0)
    assert pacing.pause(600.0, invoked=False, context=IN_LINE) == pytest.approx(0.06, abs=1e-3)


def test_before_the_first_keystroke_and_with_a_clock_that_went_back() -> None:
    pacing = Pacing()
    assert pacing.pause(5.0, invoked=False, context=IN_LINE) == 0
    pacing.keystroke(10.0)
    pacing.keystroke(9.0)
    assert 0 <= pacing.pause(8.0, invoked=False, context=IN_LINE) <= MAX_PAUSE_S
