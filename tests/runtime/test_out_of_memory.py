"""Memory that runs out while the model runs: one request fails, the engine goes on smaller."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_bench import Bench, assert_same

from model_runtime.networks import kv_cache, kv_storage
from model_runtime.networks.kv_cache import SHORTEST_CONTEXT
from model_runtime.wire.protocol import Failure, Reason, Result

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def failing(bench: Bench, *steps: int, error: Exception = ERRORS[0]) -> Callable[[int], None]:
    def fail(number: int) -> None:
        if number in steps:
            raise error

    bench.steps.before = fail
    return fail


def check_out_of_memory(reply: Result | Failure) -> None:
    assert isinstance(reply, Failure), reply
    assert reply.reason == Reason.OUT_OF_MEMORY
    assert reply.message.endswith("needs less.")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("step", [1, 2, 5], ids=["first chunk", "second chunk", "decode"])
def test_the_request_fails_and_the_next_one_runs(
    bench: Bench, tmp_path: Path, step: int, error: Exception
) -> None:
    failing(bench, step, error=error)
    check_out_of_memory(bench.reply())
    assert (bench.engine.cache.slots, bench.engine.cache.branches) == (2, 2)
    assert bench.free_slots() == 2
    assert bench.ask().candidates == Bench(tmp_path).ask().candidates


@pytest.mark.parametrize("step", range(1, 16))
def test_in_a_batch_the_youngest_pays_and_the_others_go_on(
    bench: Bench, tmp_path: Path, step: int
) -> None:
    failing(bench, step)
    prefixes = {1: "x = 1\n", 2: "while True:\n", 3: "def f(x):\n"}
    for number, prefix in prefixes.items():
        bench.clock.now += 1
        bench.submit(number, prefix, max_new_tokens=12)
    bench.serve()
    failed = [number for number in prefixes if isinstance(bench.answer(number), Failure)]
    assert len(failed) == 1
    check_out_of_memory(bench.answer(failed[0]))
    for number in prefixes.keys() - set(failed):
        text = bench.result(number).candidates[0].text
        expected = Bench(tmp_path).ask(prefixes[number], max_new_tokens=12)
        assert text == expected.candidates[0].text
    if (3, 1) in bench.steps.shapes[:step]:
        assert failed == [3]


def test_candidates_go_on_where_they_still_have_rows(bench: Bench, tmp_path: Path) -> None:
    several = {"candidates": 2, "temperature": 1.0, "seed": 3, "max_new_tokens": 12}
    failing(bench, 9)
    bench.submit(1, "x = 1\n", **several)
    bench.clock.now += 1
    bench.submit(2, "while True:\n", max_new_tokens=12)
    bench.serve()
    check_out_of_memory(bench.answer(2))
    texts = [candidate.text for candidate in bench.result(1).candidates]
    expected = Bench(tmp_path).ask("x = 1\n", **several).candidates
    assert texts == [candidate.text for candidate in expected]


def test_candidates_without_rows_end_with_what_they_have(bench: Bench) -> None:
    failing(bench, 9)
    bench.submit(1, "x = 1\n", candidates=4, temperature=1.0, seed=3, max_new_tokens=12)
    bench.clock.now += 1
    bench.submit(2, "while True:\n", max_new_tokens=12)
    bench.serve()
    check_out_of_memory(bench.answer(2))
    candidates = bench.result(1).candidates
    assert 0 < candidates[0].tokens < 12


def test_candidates_go_on_in_rows_that_lie_apart(bench: Bench, tmp_path: Path) -> None:
    """Two rows before those of another request and one behind them, and several tokens to run."""
    bench.with_cache(slots=8, branches=11)
    wanted = {1: (2, 24), 2: (2, 60), 3: (3, 60), 4: (1, 60)}
    fields = {
        number: {"candidates": count, "max_new_tokens": length, "temperature": 1.0, "seed": 3}
        for number, (count, length) in wanted.items()
    }
    for number in wanted:
        bench.clock.now += 1
        bench.submit(number, f"value_{number} = ", **fields[number])
    failing(bench, 17)
    bench.serve()
    check_out_of_memory(bench.answer(4))
    shapes = itertools.pairwise(bench.steps.shapes)
    assert any(one[0] == 2 and other[0] == 1 and one[1] == other[1] > 1 for one, other in shapes)
    for number in (1, 2, 3):
        alone = Bench(tmp_path).ask(f"value_{number} = ", **fields[number]).candidates
        assert_same(bench.result(number).candidates, alone)


def test_it_shrinks_until_it_fits_and_says_each_size_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, context=1024)
    failing(bench, *range(1, 7))
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            check_out_of_memory(bench.reply())
    sizes = [record.message for record in caplog.records if "KV cache" in record.message]
    assert sizes == [
        "out of memory: the KV cache is now 2 slots and 2 branches of 1024 positions",
        "out of memory: the KV cache is now 1 slots and 1 branches of 1024 positions",
        "out of memory: the KV cache is now 1 slots and 0 branches of 1024 positions",
        "out of memory: the KV cache is now 1 slots and 0 branches of 512 positions",
        "out of memory: the KV cache is now 1 slots and 0 branches of 256 positions",
    ]
    result = bench.ask("value = 1\n" * 200, candidates=3, max_new_tokens=50)
    assert result.timing.prompt_tokens <= 256 - 50
    assert result.candidates[0].tokens == 50
    assert isinstance(bench.reply(beams=2), Failure)


def limited(monkeypatch: pytest.MonkeyPatch, rows: int, times: int = 99) -> list[int]:
    """So many times the system has no memory for more rows; gives the rows that were refused."""
    refused: list[int] = []
    made = kv_storage.Storage

    def make(shape: tuple[int, int, int, int, int], *rest: Any) -> kv_storage.Storage:
        if shape[1] > rows and len(refused) < times:
            refused.append(shape[1])
            raise MemoryError
        return made(shape, *rest)

    monkeypatch.setattr(kv_cache, "Storage", make)
    return refused


def test_a_cache_that_cannot_be_made_is_made_smaller(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.engine.cache.bytes
    refused = limited(monkeypatch, rows=1)
    failing(bench, 1)
    check_out_of_memory(bench.reply())
    assert refused == [4, 2]
    cache = bench.engine.cache
    assert (cache.slots, cache.branches, cache.bytes) == (1, 0, before // 9)
    assert bench.ask().candidates


def test_the_old_cache_stays_where_no_smaller_one_can_be_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = limited(monkeypatch, rows=0, times=3)
    failing(bench, 9)
    for number in (1, 2):
        bench.submit(number, f"value_{number} = ", max_new_tokens=12)
    bench.serve()
    for number in (1, 2):
        check_out_of_memory(bench.answer(number))
    assert refused == [4, 2, 1]
    assert (bench.engine.cache.slots, bench.engine.cache.branches) == (4, 5)
    assert bench.ask().candidates


def test_without_memory_for_a_smaller_cache_all_that_runs_fails_and_the_cache_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for the old one: each request fails, until there is memory again."""
    refused = limited(monkeypatch, rows=0)
    failing(bench, 9)
    for number in (1, 2, 3):
        bench.clock.now += 1
        bench.submit(number, f"value_{number} = ", max_new_tokens=12)
    bench.serve()
    for number in (1, 2, 3):
        check_out_of_memory(bench.answer(number))
    assert refused == [4, 2, 1, 9]
    check_out_of_memory(bench.reply())
    monkeypatch.undo()
    assert bench.ask().candidates
    assert (bench.engine.cache.slots, bench.engine.cache.branches) == (4, 5)


def test_the_smallest_cache_stays(bench: Bench) -> None:
    cache = bench.engine.cache
    while cache.shrink():
        pass
    assert (cache.slots, cache.branches, cache.context) == (1, 0, SHORTEST_CONTEXT)
    assert bench.ask().candidates
    failing(bench, len(bench.steps.shapes) + 1)
    check_out_of_memory(bench.reply("y"))
    assert bench.ask().candidates
