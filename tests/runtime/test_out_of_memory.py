"""Memory that runs out while the model runs: one request fails, the engine goes on smaller."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from engine_bench import Bench

from model_runtime.networks.kv_cache import SHORTEST_CONTEXT, KVCache
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


def test_a_cache_that_cannot_be_made_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = KVCache(
        layers=3,
        heads=2,
        head_dim=16,
        context=tiny.CONTEXT * 8,
        slots=4,
        branches=5,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    before, zeros, refused = cache.bytes, torch.zeros, []

    def limited(shape: tuple[int, ...] | int, **options: object) -> torch.Tensor:
        if isinstance(shape, tuple) and shape[1] > 1:
            refused.append(shape)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return zeros(shape, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(torch, "zeros", limited)
    assert cache.shrink()
    assert refused
    assert (cache.slots, cache.branches, cache.bytes) == (1, 0, before // 9)


def test_the_smallest_cache_stays(bench: Bench) -> None:
    cache = bench.engine.cache
    while cache.shrink():
        pass
    assert (cache.slots, cache.branches, cache.context) == (1, 0, SHORTEST_CONTEXT)
    assert bench.ask().candidates
    failing(bench, len(bench.steps.shapes) + 1)
    check_out_of_memory(bench.reply("y"))
    assert bench.ask().candidates
