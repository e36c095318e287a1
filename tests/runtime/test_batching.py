"""Requests that run at once: each gets what it would get alone, and leaves when it is its time."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_bench import DEVICE, Bench, assert_same
from torch import Tensor

from model_runtime.networks import kv_size
from model_runtime.wire.protocol import Candidate, Failure, Priority, Reason

PREFIXES = {
    1: "x = 1\n",
    2: "while True:\n    value = next(items)\n" * 2,
    3: "def f(x):\n    return",
    4: "",
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def alone(folder: Path, prefix: str, **fields: Any) -> tuple[Candidate, ...]:
    return Bench(folder).ask(prefix, **fields).candidates


# --- the same tokens, whichever way ---------------------------------------------------------------


@pytest.mark.parametrize("chunk", range(1, 31))
def test_every_split_of_the_prefill_gives_the_same_tokens(tmp_path: Path, chunk: int) -> None:
    bench = Bench(tmp_path)
    bench.engine.device = dataclasses.replace(DEVICE, prefill_chunk=chunk)
    expected = alone(tmp_path, PREFIXES[3], max_new_tokens=12)
    assert_same(bench.ask(PREFIXES[3], max_new_tokens=12).candidates, expected)


def test_a_batch_of_all_lengths_gives_the_tokens_of_each_alone(
    bench: Bench, tmp_path: Path
) -> None:
    tokens = {1: 40, 2: 9, 3: 25, 4: 12}
    for number, prefix in PREFIXES.items():
        bench.submit(number, prefix, max_new_tokens=tokens[number])
    bench.serve()
    assert (4, 1) in bench.steps.shapes
    for number, prefix in PREFIXES.items():
        expected = alone(tmp_path, prefix, max_new_tokens=tokens[number])
        assert_same(bench.result(number).candidates, expected)
        assert expected[0].tokens == tokens[number]


@pytest.mark.parametrize("number", [2, 3])
def test_a_cached_prompt_joins_a_batch(bench: Bench, tmp_path: Path, number: int) -> None:
    bench.ask(PREFIXES[number])
    bench.submit(number, PREFIXES[number], max_new_tokens=20)
    bench.submit(1, PREFIXES[1], max_new_tokens=20)
    bench.serve()
    timing = bench.result(number).timing
    assert timing.cached_tokens == timing.prompt_tokens - 1
    for one in (1, number):
        expected = alone(tmp_path, PREFIXES[one], max_new_tokens=20)
        assert_same(bench.result(one).candidates, expected)


def test_branch_rows_decode_beside_single_ones(bench: Bench, tmp_path: Path) -> None:
    several = {"candidates": 3, "temperature": 1.2, "seed": 4}
    bench.submit(1, PREFIXES[1], max_new_tokens=15)
    bench.submit(2, PREFIXES[2], **several, max_new_tokens=15)
    bench.submit(3, PREFIXES[3], max_new_tokens=15)
    bench.serve()
    assert (5, 1) in bench.steps.shapes
    assert_same(
        bench.result(2).candidates, alone(tmp_path, PREFIXES[2], **several, max_new_tokens=15)
    )
    for number in (1, 3):
        expected = alone(tmp_path, PREFIXES[number], max_new_tokens=15)
        assert_same(bench.result(number).candidates, expected)


def test_the_greedy_branch_gives_the_tokens_of_the_slot(bench: Bench, tmp_path: Path) -> None:
    found = bench.ask(PREFIXES[3], candidates=3, temperature=1.0, max_new_tokens=20).candidates
    assert_same(found[:1], alone(tmp_path, PREFIXES[3], max_new_tokens=20))


def test_seeds_of_two_requests_do_not_mix(bench: Bench, tmp_path: Path) -> None:
    drawn = {"temperature": 1.5, "max_new_tokens": 10}
    for number in (1, 2, 3):
        bench.submit(number, PREFIXES[number], seed=number, **drawn)
    bench.serve()
    for number in (1, 2, 3):
        expected = alone(tmp_path, PREFIXES[number], seed=number, **drawn)
        assert_same(bench.result(number).candidates, expected)


def test_a_cache_in_bfloat16_serves_the_same_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(tmp_path, PREFIXES[3], max_new_tokens=8)
    monkeypatch.setattr(kv_size, "LARGE_CACHE_BYTES", 0)
    bench = Bench(tmp_path)
    assert bench.engine.cache.rows([0]).keys[0].dtype == torch.bfloat16
    bench.submit(1, PREFIXES[1], max_new_tokens=8)
    bench.submit(3, PREFIXES[3], max_new_tokens=8)
    bench.serve()
    assert bench.result(1).candidates[0].tokens == 8
    (found,) = bench.result(3).candidates
    assert found.mean_logprob == pytest.approx(expected[0].mean_logprob, abs=0.2)


# --- joining --------------------------------------------------------------------------------------


def test_a_long_prompt_joins_a_chunk_at_a_time(bench: Bench) -> None:
    """Whoever decodes already waits for one chunk at most between two tokens."""

    def join(number: int) -> None:
        if number == 5:
            bench.submit(2, "y = 2\n" * 12)

    bench.steps.before = join
    bench.submit(1, "x", max_new_tokens=30)
    bench.serve()
    chunks = [place for place, (_, length) in enumerate(bench.steps.shapes) if length > 1]
    assert len(chunks) > 4
    assert all(later - sooner > 1 for sooner, later in itertools.pairwise(chunks[1:]))
    assert bench.steps.shapes.count((2, 1)) == 7, "the first of 8 tokens comes from the prefill"


def test_the_next_request_takes_the_place_of_the_first_that_ends(bench: Bench) -> None:
    for number in range(1, 7):
        bench.submit(number, f"value_{number} = ", max_new_tokens=4 * number)
    bench.serve()
    assert [message.id for _, message in bench.said] == [1, 2, 3, 4, 5, 6]
    assert max(rows for rows, _ in bench.steps.shapes) == bench.engine.cache.slots == 4


def test_candidates_wait_for_the_branch_rows_of_another_request(
    bench: Bench, tmp_path: Path
) -> None:
    several = {"candidates": 4, "temperature": 1.0, "seed": 2}
    for number in (1, 2):
        bench.submit(number, PREFIXES[number], **several)
    bench.serve()
    for number in (1, 2):
        assert_same(bench.result(number).candidates, alone(tmp_path, PREFIXES[number], **several))
    assert max(rows for rows, _ in bench.steps.shapes) <= 5


# --- leaving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(1, 12))
def test_a_cancel_in_a_batch_costs_nobody_else(bench: Bench, tmp_path: Path, step: int) -> None:
    def cancel(number: int) -> None:
        if number == step:
            bench.scheduler.cancel(1, 2)

    bench.steps.before = cancel
    for number in (1, 2, 3):
        bench.submit(number, PREFIXES[number], max_new_tokens=20)
    bench.serve()
    reply = bench.answer(2)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.CANCELLED
    assert bench.work.report()["cancel"]["steps_after"] <= 1
    assert bench.free_slots() == 4
    for number in (1, 3):
        expected = alone(tmp_path, PREFIXES[number], max_new_tokens=20)
        assert_same(bench.result(number).candidates, expected)


def test_a_deadline_in_a_batch_ends_one(bench: Bench) -> None:
    bench.steps.before = lambda number: setattr(bench.clock, "now", number * 0.010)
    bench.submit(1, PREFIXES[1], max_new_tokens=30)
    bench.submit(2, PREFIXES[3], max_new_tokens=30, deadline_ms=150)
    bench.serve()
    assert bench.result(1).candidates[0].finish == "length"
    late = bench.result(2).candidates[0]
    assert late.finish == "deadline"
    assert 0 < late.tokens < 15


def test_a_deadline_keeps_the_text_of_every_candidate(bench: Bench) -> None:
    bench.steps.before = lambda number: setattr(bench.clock, "now", number * 0.010)
    result = bench.ask(candidates=3, temperature=1.5, max_new_tokens=60, deadline_ms=120)
    assert [candidate.finish for candidate in result.candidates] == ["deadline"] * 3
    assert len({candidate.tokens for candidate in result.candidates}) == 1


def test_stop_strings_belong_to_their_request(bench: Bench) -> None:
    text = {n: bench.ask(PREFIXES[n], max_new_tokens=20).candidates[0].text for n in (1, 3)}
    for number in (1, 3):
        bench.submit(number, PREFIXES[number], max_new_tokens=20, stop=(text[number][8:10],))
    bench.submit(2, PREFIXES[1], max_new_tokens=20, stop=(text[3][8:10],))
    bench.serve()
    for number in (1, 3):
        candidate = bench.result(number).candidates[0]
        stop = text[number][8:10]
        assert (candidate.finish, candidate.text) == ("stop", text[number].partition(stop)[0])
    assert bench.result(2).candidates[0].text == text[1].partition(text[3][8:10])[0]


def test_padding_of_the_vocabulary_is_never_drawn(bench: Bench) -> None:
    usable = bench.engine.model.tokenizer.vocab_size - 100

    def lure(logits: Tensor) -> Tensor:
        logits[:, usable:] = 50.0
        return logits

    object.__setattr__(bench.engine.model.tokenizer, "vocab_size", usable)
    bench.steps.change = lure
    bench.submit(1, PREFIXES[1])
    bench.submit(2, PREFIXES[2], candidates=2, temperature=2.0)
    bench.submit(3, PREFIXES[3], max_new_tokens=5, candidates=2, beams=3)
    bench.serve()
    for number in (1, 2, 3):
        for candidate in bench.result(number).candidates:
            ids = bench.engine.model.tokenizer.encode(candidate.text)
            assert all(token < usable for token in ids)


# --- batch requests give way ----------------------------------------------------------------------


@pytest.mark.parametrize("step", range(1, 16))
@pytest.mark.parametrize("several", [1, 3])
def test_a_batch_request_pauses_and_goes_on_as_if_nothing_had_been(
    bench: Bench, tmp_path: Path, several: int, step: int
) -> None:
    fields = {"candidates": several, "temperature": 1.0, "seed": 5}

    def interrupt(number: int) -> None:
        if number in (step, step + 9):
            for one in (2, 3):
                bench.submit(number * 10 + one, PREFIXES[one], **fields)

    bench.steps.before = interrupt
    bench.submit(1, "x = 1\n" * 8, priority=Priority.BATCH, max_new_tokens=20, **fields)
    bench.serve()
    assert bench.said[-1][1].id == 1
    expected = alone(tmp_path, "x = 1\n" * 8, max_new_tokens=20, **fields)
    assert_same(bench.result(1).candidates, expected)


def test_a_paused_batch_request_has_no_row_in_a_step(bench: Bench) -> None:
    def interrupt(number: int) -> None:
        if number == 6:
            bench.submit(2, "y = 2\n" * 15)

    bench.steps.before = interrupt
    bench.submit(1, "x", priority=Priority.BATCH, max_new_tokens=20)
    bench.serve()
    assert all(rows == 1 for rows, _ in bench.steps.shapes)
    prefill = [length for _, length in bench.steps.shapes if length > 1]
    asked = [bench.result(number).timing for number in (1, 2)]
    assert sum(prefill) == sum(timing.prompt_tokens for timing in asked), "nothing is run again"


def test_a_paused_batch_request_can_be_cancelled(bench: Bench) -> None:
    def interrupt(number: int) -> None:
        if number == 6:
            bench.submit(2, "y = 2\n")
        if number == 9:
            bench.scheduler.cancel(1, 1)

    bench.steps.before = interrupt
    bench.submit(1, "x", priority=Priority.BATCH, max_new_tokens=20)
    bench.serve()
    reply = bench.answer(1)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.CANCELLED
    assert bench.result(2).candidates
