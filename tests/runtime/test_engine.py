"""The engine on a tiny random network: what it answers, what it runs again, how it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from engine_bench import Bench
from torch import Tensor

from model_runtime import logs
from model_runtime.networks.kv_cache import Rows
from model_runtime.networks.kv_size import BRANCHES
from model_runtime.wire.protocol import Chunk, Failure, Priority, Reason, Result


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# --- what it answers ------------------------------------------------------------------------------


def test_a_greedy_result_is_exact_and_repeatable(bench: Bench) -> None:
    first = bench.ask(max_new_tokens=12)
    (candidate,) = first.candidates
    assert (candidate.source, candidate.finish, candidate.tokens) == ("model", "length", 12)
    assert candidate.min_logprob is not None
    assert candidate.mean_logprob is not None
    assert candidate.min_logprob <= candidate.mean_logprob <= 0
    (again,) = bench.ask(max_new_tokens=12).candidates
    assert again.text == candidate.text
    assert len(set(again.text)) > 3, "a network that repeats itself would hide mistakes"


def test_seed_and_temperature(bench: Bench) -> None:
    def sampled(seed: int) -> str:
        return bench.ask(temperature=2.0, seed=seed).candidates[0].text

    assert sampled(7) == sampled(7)
    assert len({sampled(seed) for seed in range(8)}) > 1
    assert isinstance(bench.reply(temperature=1.0, seed=-1), Result)


def test_several_candidates_are_distinct_and_best_first(bench: Bench) -> None:
    greedy = bench.ask().candidates[0].text
    candidates = bench.ask(candidates=4, temperature=1.5, seed=3).candidates
    assert candidates[0].text == greedy
    assert len({candidate.text for candidate in candidates}) == len(candidates) > 2
    rest = [candidate.mean_logprob or 0 for candidate in candidates[1:]]
    assert rest == sorted(rest, reverse=True)


def test_without_best_first_all_are_drawn_and_ordered(bench: Bench) -> None:
    result = bench.ask(candidates=4, best_first=False, temperature=1.5, seed=3)
    scores = [candidate.mean_logprob or 0 for candidate in result.candidates]
    assert scores == sorted(scores, reverse=True)


def test_the_same_candidate_is_given_once(bench: Bench) -> None:
    assert len(bench.ask(candidates=3, temperature=0.0).candidates) == 1


def test_several_candidates_come_from_one_prefill(bench: Bench) -> None:
    bench.ask("x = 1\n" * 10, candidates=3, temperature=1.0)
    prefill = [length for rows, length in bench.steps.shapes if rows == 1]
    assert sum(prefill) == bench.ask("x = 1\n" * 10).timing.prompt_tokens
    assert (3, 1) in bench.steps.shapes


def test_more_candidates_than_rows_are_as_many_as_there_are(bench: Bench) -> None:
    bench.ask(candidates=50, temperature=3.0)
    assert max(rows for rows, _ in bench.steps.shapes) == BRANCHES


def test_chunks_add_up_to_the_candidate(bench: Bench) -> None:
    result = bench.ask(stream=True, max_new_tokens=20, stop=("zz",))
    chunks = [message for _, message in bench.said if isinstance(message, Chunk)]
    assert "".join(chunk.text for chunk in chunks) == result.candidates[0].text
    assert len(chunks) > 1
    assert isinstance(bench.said[-1][1], Result)


def test_no_chunks_unless_asked_for(bench: Bench) -> None:
    bench.ask()
    assert len(bench.said) == 1


def test_a_stop_string_and_the_token_limit_are_kept(bench: Bench) -> None:
    text = bench.ask(max_new_tokens=30).candidates[0].text
    word = text[6:8]
    stopped = bench.ask(max_new_tokens=30, stop=(word,)).candidates[0]
    assert stopped.finish == "stop"
    assert stopped.text == text[: text.index(word)]
    assert bench.ask(max_new_tokens=1).candidates[0].tokens == 1


def test_a_long_file_leaves_room_for_the_new_tokens(bench: Bench) -> None:
    result = bench.ask("value = 1\n" * 500, suffix="other = 2\n" * 500, max_new_tokens=60)
    assert result.timing.prompt_tokens <= tiny.CONTEXT - 60
    assert result.candidates[0].tokens == 60


def test_the_prompt_keeps_half_of_the_context(bench: Bench) -> None:
    result = bench.ask("value = 1\n" * 500, max_new_tokens=10_000)
    assert result.timing.prompt_tokens <= tiny.CONTEXT // 2
    room = tiny.CONTEXT - result.timing.prompt_tokens
    assert result.candidates[0].finish in {"length", "end"}
    assert result.candidates[0].tokens <= room


def test_an_empty_file_can_be_completed(bench: Bench) -> None:
    assert bench.ask("", language="").candidates


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"max_new_tokens": 0}, Reason.BAD_REQUEST),
        ({"candidates": 0}, Reason.BAD_REQUEST),
        ({"max_lines": -1}, Reason.BAD_REQUEST),
        ({"temperature": float("nan")}, Reason.BAD_REQUEST),
        ({"top_p": 2.0}, Reason.BAD_REQUEST),
        ({"task": "translate"}, Reason.UNSUPPORTED_TASK),
    ],
)
def test_requests_that_cannot_be_taken(
    bench: Bench, fields: dict[str, Any], reason: Reason
) -> None:
    reply = bench.reply(**fields)
    assert isinstance(reply, Failure)
    assert reply.reason == reason
    assert reply.message.endswith(".")


# --- the KV cache ---------------------------------------------------------------------------------


def test_a_keystroke_costs_its_own_tokens_only(bench: Bench) -> None:
    text = "def total(items):\n    return su"
    first = bench.ask(text)
    second = bench.ask(text + "m")
    assert first.timing.cached_tokens == 0
    assert second.timing.prompt_tokens - second.timing.cached_tokens == 1


def test_accepted_text_is_not_run_again(bench: Bench) -> None:
    text = "def total(items):\n    return su"
    accepted = bench.ask(text, max_new_tokens=10).candidates[0].text
    second = bench.ask(text + accepted)
    assert second.timing.prompt_tokens - second.timing.cached_tokens == 1


def test_cached_and_fresh_results_are_the_same(tmp_path: Path) -> None:
    typed = "for index in range(10):\n    print(index"
    warm = Bench(tmp_path)
    for end in range(20, len(typed) + 1):
        result = warm.ask(typed[:end], max_new_tokens=12)
        fresh = Bench(tmp_path).ask(typed[:end], max_new_tokens=12)
        assert result.candidates[0].text == fresh.candidates[0].text
        assert result.candidates[0].mean_logprob == pytest.approx(
            fresh.candidates[0].mean_logprob, abs=1e-4
        )


# --- deadlines ------------------------------------------------------------------------------------


def test_a_deadline_while_decoding_keeps_the_text(bench: Bench) -> None:
    bench.steps.before = lambda number: setattr(bench.clock, "now", number * 0.010)
    result = bench.ask("x", max_new_tokens=40, deadline_ms=100)
    assert result.candidates[0].finish == "deadline"
    assert 1 <= result.candidates[0].tokens <= 10


def test_a_deadline_before_any_text_is_a_failure(bench: Bench) -> None:
    bench.steps.before = lambda number: setattr(bench.clock, "now", number * 1.0)
    reply = bench.reply("x = 1\n" * 20, deadline_ms=500)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.DEADLINE
    assert len(bench.steps.shapes) == 1
    assert bench.free_slots() == 4


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 4, 9], ids=["prefill", "chunk", "decode", "later"])
def test_a_cancel_during_a_step_ends_it_after_that_step(bench: Bench, step: int) -> None:
    def cancel(number: int) -> None:
        if number == step:
            bench.scheduler.cancel(1, 1)

    bench.steps.before = cancel
    bench.submit(1, "x = 1\n" * 5, max_new_tokens=60)
    bench.serve()
    reply = bench.answer(1)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.CANCELLED
    assert len(bench.steps.shapes) == step
    cancel_figures = bench.work.report()["cancel"]
    assert (cancel_figures["count"], cancel_figures["steps_after"]) == (1, 1)
    assert bench.free_slots() == 4


def test_a_newer_request_ends_the_running_one(bench: Bench) -> None:
    def type_on(number: int) -> None:
        if number == 6:
            bench.submit(2, "def f(x):\n ", document="a.py")

    bench.steps.before = type_on
    bench.submit(1, document="a.py", max_new_tokens=100)
    bench.serve()
    first, second = bench.answer(1), bench.answer(2)
    assert isinstance(first, Failure)
    assert first.reason == Reason.SUPERSEDED
    assert isinstance(second, Result)


# --- pre-emption ----------------------------------------------------------------------------------


def preempted(folder: Path, outer: dict[str, Any], inner: dict[str, Any], step: int) -> Bench:
    """A batch request with an interactive one arriving at `step`."""
    bench = Bench(folder)

    def interrupt(number: int) -> None:
        if number == step:
            bench.submit(2, "while True:\n", **inner)

    bench.steps.before = interrupt
    bench.submit(1, "x = 1\n" * 8, priority=Priority.BATCH, **outer)
    bench.serve()
    return bench


@pytest.mark.parametrize("step", [1, 4, 7], ids=["prefill", "first token", "decode"])
@pytest.mark.parametrize("several", [1, 3])
def test_an_urgent_request_runs_inside_a_batch_one(tmp_path: Path, several: int, step: int) -> None:
    fields = {"candidates": several, "temperature": 1.0, "seed": 5}
    bench = preempted(tmp_path, fields, fields, step)
    ended = [message.id for _, message in bench.said]
    assert ended == [2, 1], "the interactive request is answered first"
    alone = Bench(tmp_path)
    for number, prefix in ((1, "x = 1\n" * 8), (2, "while True:\n")):
        result = bench.answer(number)
        assert isinstance(result, Result)
        expected = alone.ask(prefix, **fields)
        assert [one.text for one in result.candidates] == [one.text for one in expected.candidates]


def test_a_batch_request_does_not_interrupt(bench: Bench) -> None:
    def interrupt(number: int) -> None:
        if number == 2:
            bench.submit(2, priority=Priority.BATCH)

    bench.steps.before = interrupt
    bench.submit(1, priority=Priority.BATCH)
    bench.serve()
    assert [message.id for _, message in bench.said] == [1, 2]


# --- failures stay in their request ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("secret_code()"), Reason.ENGINE_ERROR),
        (MemoryError(), Reason.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("secret_code()"), Reason.OUT_OF_MEMORY),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: secret_code()"),
            Reason.OUT_OF_MEMORY,
        ),
    ],
)
@pytest.mark.parametrize("step", [1, 3])
def test_the_engine_outlives_a_failing_request(
    bench: Bench, error: Exception, reason: Reason, step: int, tmp_path: Path
) -> None:
    def fail(number: int) -> None:
        if number == step:
            raise error

    log = tmp_path / "runtime.log"
    logs.set_up(log)
    try:
        expected = Bench(tmp_path).ask("y = 2\n").candidates[0].text
        bench.steps.before = fail
        reply = bench.reply()
    finally:
        logs.LOG.handlers.pop().close()
    assert isinstance(reply, Failure)
    assert reply.reason == reason
    assert "secret" not in reply.message
    assert "\n" not in reply.message
    text = log.read_text(encoding="utf-8")
    assert type(error).__name__ in text
    assert "secret" not in text
    assert bench.free_slots() == (2 if reason is Reason.OUT_OF_MEMORY else 4)
    assert bench.ask("y = 2\n").candidates[0].text == expected


def test_blank_text_is_nothing(bench: Bench) -> None:
    newline = bench.engine.model.tokenizer.encode("\n")[0]

    def only_newlines(ids: Tensor, rows: Rows, start: int) -> Tensor:
        logits = torch.full((ids.shape[0], 260), -10.0)
        logits[:, newline] = 10.0
        return logits

    bench.steps.network = only_newlines
    reply = bench.reply()
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.NOTHING_GENERATED


def test_end_of_text_and_control_tokens_end_the_text(bench: Bench) -> None:
    tokenizer = bench.engine.model.tokenizer
    for control in (tokenizer.end_of_text, tokenizer.control("<|fim_prefix|>")):
        script = iter([*tokenizer.encode("ok"), control])

        def say(ids: Tensor, rows: Rows, start: int, script: Any = script) -> Tensor:
            logits = torch.full((1, 260), -10.0)
            logits[0, next(script)] = 10.0
            return logits

        bench.steps.network = say
        (candidate,) = bench.ask("x", language="").candidates
        assert (candidate.text, candidate.finish, candidate.tokens) == ("ok", "end", 2)


def test_the_report_counts_what_was_done(bench: Bench) -> None:
    bench.ask(max_new_tokens=5)
    bench.ask(max_new_tokens=5)
    report = bench.work.report()
    assert report["generated_tokens"] == 10
    assert report["steps"] == len(bench.steps.shapes)
    assert 0 < report["cache_hit_share"] < 1
