"""Beam search against all texts there are, against greedy, and at its ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_bench import Bench
from networks import blank_rows
from torch import Tensor

from model_runtime.decoding.beam import Beams
from model_runtime.decoding.continuation import Continuation
from model_runtime.decoding.stopping import StopRules
from model_runtime.prompts.rendering import render
from model_runtime.wire.protocol import Candidate, Chunk, Failure, Generate, Reason

LETTERS = "abc"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A network that knows three letters and the end of the text, with rows for wide beams."""
    made = Bench(tmp_path)
    made.with_cache(slots=2, branches=64)
    tokenizer = made.engine.model.tokenizer
    known = [tokenizer.end_of_text, *(tokenizer.encode(letter)[0] for letter in LETTERS)]

    def only_known(logits: Tensor) -> Tensor:
        allowed = torch.full_like(logits, -torch.inf)
        # Within reach of each other: the tiny network is nearly certain of every token.
        allowed[:, known] = (logits[:, known] / 10).tanh()
        return allowed

    made.steps.change = only_known
    return made


def exhaustive(bench: Bench, prefix: str, longest: int) -> list[tuple[float, str]]:
    """Every text of at most `longest` tokens with its mean log-probability, best first."""
    tokenizer = bench.engine.model.tokenizer
    end = tokenizer.end_of_text
    found = []
    for text in texts(longest):
        ids = [tokenizer.encode(letter)[0] for letter in text]
        if len(ids) < longest:
            ids.append(end)
        logprobs = token_logprobs(bench, prefix, ids)
        found.append((sum(logprobs) / len(ids), text))
    return sorted(found, reverse=True)


def texts(longest: int) -> Iterator[str]:
    for length in range(longest + 1):
        for letters in itertools.product(LETTERS, repeat=length):
            yield "".join(letters)


def token_logprobs(bench: Bench, prefix: str, ids: list[int]) -> list[float]:
    """Of each of `ids` behind the prompt, by one plain pass through the network."""
    prompt = prompt_of(bench, prefix)
    everything = torch.tensor([[*prompt, *ids]])
    rows = blank_rows(bench.engine.model.config)
    network: Any = bench.steps.network
    with torch.inference_mode():
        logits = network(everything, rows, 0, all_positions=True)[0]
        logprobs = bench.steps.change(logits).log_softmax(-1)
    first = len(prompt) - 1
    return [float(logprobs[first + place, token]) for place, token in enumerate(ids)]


def prompt_of(bench: Bench, prefix: str) -> list[int]:
    model = bench.engine.model
    request = Generate(0, prefix, language="Python")
    return render(model.format, model.tokenizer, request, 200).ids


@pytest.mark.parametrize("longest", [1, 2, 3])
@pytest.mark.parametrize("prefix", ["x = 1\n", "def f(x):\n", "while"])
def test_a_beam_wide_enough_finds_what_an_exhaustive_search_finds(
    bench: Bench, prefix: str, longest: int
) -> None:
    expected = [pair for pair in exhaustive(bench, prefix, longest) if pair[1]][:4]
    width = max(4, 4**longest)
    candidates = bench.ask(prefix, max_new_tokens=longest, candidates=width, beams=width).candidates
    found = [candidate.text for candidate in candidates]
    assert found[: len(expected)] == [text for _, text in expected][: len(found)]
    assert len(found) >= 3


def test_a_narrow_beam_finds_the_best_where_the_width_covers_every_beginning(
    bench: Bench,
) -> None:
    (_, best), *_ = (pair for pair in exhaustive(bench, "x = 1\n", 3) if pair[1])
    result = bench.ask("x = 1\n", max_new_tokens=3, beams=16, candidates=2)
    assert result.candidates[0].text == best


def test_width_one_is_greedy(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    greedy = bench.ask(max_new_tokens=20).candidates[0]
    assert bench.ask(max_new_tokens=20, beams=1).candidates[0].text == greedy.text
    found = one_beam(bench, "def f(x):\n", 20)
    assert found.text == greedy.text
    assert found.tokens == greedy.tokens
    assert found.mean_logprob == pytest.approx(greedy.mean_logprob, abs=1e-4)


def one_beam(bench: Bench, prefix: str, longest: int) -> Candidate:
    model = bench.engine.model
    usable = model.tokenizer.vocab_size
    root = Continuation(
        model.tokenizer.stream(), {model.tokenizer.end_of_text}, StopRules(longest), lambda _: None
    )
    beams = Beams(root, 1, 1, usable, longest)
    cache = bench.engine.cache
    ids = prompt_of(bench, prefix)
    slot = cache.acquire(ids)
    assert slot is not None
    with torch.inference_mode():
        logits = bench.steps.network(torch.tensor([ids]), slot.rows, 0)
        position = len(ids)
        while not beams.finished:
            draw = beams.advance(logits)
            assert draw.parents in ([0], [])
            if not beams.finished:
                logits = bench.steps.network(torch.tensor([draw.ids]), slot.rows, position)
                position += 1
    slot.release()
    (candidate,) = beams.candidates()
    return candidate


def test_a_wider_beam_finds_likelier_texts(bench: Bench) -> None:
    def score(prefix: str, beams: int) -> float:
        found = bench.ask(prefix, max_new_tokens=6, beams=beams).candidates[0]
        assert found.mean_logprob is not None
        return found.mean_logprob

    prefixes = [f"value_{number} = " for number in range(8)]
    gains = [score(prefix, 12) - score(prefix, 1) for prefix in prefixes]
    assert min(gains) > -1e-4
    assert max(gains) > 1e-3


def test_the_scores_of_beams_are_those_of_their_tokens(tmp_path: Path) -> None:
    """Rows that were reordered wrongly would give other ones."""
    bench = Bench(tmp_path)
    result = bench.ask("x = 1\n", max_new_tokens=8, beams=5, candidates=5)
    assert len(result.candidates) > 2
    for candidate in result.candidates:
        ids = bench.engine.model.tokenizer.encode(candidate.text)
        expected = token_logprobs(bench, "x = 1\n", ids)
        assert candidate.tokens == len(ids) == 8
        assert candidate.mean_logprob == pytest.approx(sum(expected) / 8, abs=1e-4)
        assert candidate.min_logprob == pytest.approx(min(expected), abs=1e-4)


def test_stop_strings_and_the_end_of_the_text_end_a_beam(bench: Bench) -> None:
    candidates = bench.ask(max_new_tokens=3, beams=64, candidates=64, stop=("b",)).candidates
    assert all("b" not in candidate.text for candidate in candidates)
    assert "stop" in {candidate.finish for candidate in candidates}
    candidates = bench.ask(max_new_tokens=3, beams=64, candidates=64).candidates
    assert {candidate.finish for candidate in candidates} == {"end", "length"}
    assert {len(one.text) for one in candidates if one.finish == "end"} == {1, 2}


def test_beams_are_searched_beside_other_requests(tmp_path: Path) -> None:
    bench, alone = Bench(tmp_path), Bench(tmp_path)
    beams = {"beams": 4, "candidates": 3, "max_new_tokens": 7}
    bench.submit(1, "x = 1\n", **beams)
    bench.submit(2, "while True:\n", max_new_tokens=15)
    bench.serve()
    assert (5, 1) in bench.steps.shapes
    texts = [candidate.text for candidate in bench.result(1).candidates]
    expected = alone.ask("x = 1\n", **beams).candidates
    assert texts == [candidate.text for candidate in expected]
    greedy = alone.ask("while True:\n", max_new_tokens=15).candidates[0]
    assert bench.result(2).candidates[0].text == greedy.text


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_cancel_in_the_middle(tmp_path: Path, step: int) -> None:
    bench = Bench(tmp_path)

    def cancel(number: int) -> None:
        if number == step:
            bench.scheduler.cancel(1, 1)

    bench.steps.before = cancel
    bench.submit(1, "x", beams=4, max_new_tokens=40)
    bench.serve()
    reply = bench.answer(1)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.CANCELLED
    assert len(bench.steps.shapes) == step
    assert bench.ask("x", beams=5, max_new_tokens=3).candidates, "its rows are free again"


def test_a_deadline_gives_the_best_beams_so_far(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.steps.before = lambda number: setattr(bench.clock, "now", number * 0.010)
    candidates = bench.ask("x", beams=3, candidates=2, max_new_tokens=60, deadline_ms=90).candidates
    assert [candidate.finish for candidate in candidates] == ["deadline"] * 2


def test_nothing_is_streamed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.ask(beams=3, stream=True)
    assert not any(isinstance(message, Chunk) for _, message in bench.said)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beams": -1}, "beams must be 0 or more"),
        ({"beams": 6}, "6 beams were asked for; at most 5 are possible"),
        ({"beams": 2, "temperature": 0.5}, "more than 1 needs temperature 0"),
    ],
)
def test_beams_that_cannot_be(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    reply = Bench(tmp_path).reply(**fields)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.BAD_REQUEST
    assert words in reply.message
