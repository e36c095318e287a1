"""The budget of a completion's prompt follows the speed at which the engine reads."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import tiny
from engine_bench import DEVICE, Bench
from hypothesis import given
from hypothesis import strategies as st

from model_runtime.engine.pace import FIRST_TOKENS, LEAST_TOKENS, WANTED_S, Pace
from model_runtime.wire.protocol import Task


def reading(*speeds: float, chunk: int = 128) -> list[int]:
    """The budgets of an engine that reads a chunk at each of these speeds, in tokens a second."""
    pace = Pace()
    found = []
    for speed in speeds:
        pace.passed(chunk, chunk / speed)
        found.append(pace.tokens)
    return found


def test_a_machine_reads_what_it_can_in_the_wanted_time() -> None:
    for speed in (10, 100, 200, 700, 3_000, 100_000):
        budget = reading(*[speed] * 20)[-1]
        assert budget >= LEAST_TOKENS
        assert budget <= max(LEAST_TOKENS, 1.25 * WANTED_S * speed)
        assert 2 * budget > WANTED_S * speed


@given(st.lists(st.floats(0.85, 1.15), min_size=2, max_size=50), st.floats(50, 50_000))
def test_a_speed_that_varies_a_little_leaves_the_budget(noise: list[float], speed: float) -> None:
    settled = [speed] * 40
    found = reading(*settled, *(speed * one for one in noise))
    assert len(set(found[len(settled) :])) <= 2
    assert sum(a != b for a, b in itertools.pairwise(found[len(settled) :])) <= 1


def test_a_machine_that_has_become_busy_gets_less_within_a_prompt() -> None:
    found = reading(*[2_000] * 20, *[200] * 20)
    assert found[19] == 4096
    assert found[-1] <= 1024


def test_short_passes_and_a_clock_that_stands_say_nothing() -> None:
    assert reading(1, 1, 1, chunk=8) == [FIRST_TOKENS] * 3
    pace = Pace()
    pace.passed(500, 0.0)
    assert pace.tokens == FIRST_TOKENS


@pytest.mark.parametrize(("speed", "tokens"), [(10, 256), (250, 768), (2_000, 4_096)])
def test_a_completion_is_asked_with_as_much_as_is_read_in_time(
    tmp_path: Path, speed: float, tokens: int
) -> None:
    """The clock is the test's; a token of this model is a byte."""
    bench = Bench(tmp_path, tiny.model(tmp_path, context=8192))
    bench.engine.device = dataclasses.replace(DEVICE, prefill_chunk=128)

    def reads(step: int) -> None:
        bench.clock.now += bench.steps.shapes[-1][1] / speed

    bench.steps.before = reads
    code = "".join(f"value_{n} = {n}\n" for n in range(3_000))
    for begin in range(0, 10_000, 1_000):  # each somewhere else, so that nothing is in the cache
        prompt = bench.ask(code[begin : begin + 20_000] + f"{begin}").timing.prompt_tokens
    assert tokens / 2 < prompt <= tokens
    whole = bench.ask(code[:6_000], task=Task.TEMPLATE).timing.prompt_tokens
    assert whole >= 6_000, "whoever gave an order waits for all of it"
