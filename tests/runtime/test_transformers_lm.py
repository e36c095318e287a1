"""Every family that transformers has gives the tokens of its own generate(), whichever way it is
served: in chunks, from the cache, beside others, in branches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import torch
from engine_bench import DEVICE, Bench, assert_same

from model_runtime.decoding import continuation
from model_runtime.folders import opening
from model_runtime.folders.loaded import LoadedModel
from model_runtime.prompts.rendering import render
from model_runtime.wire.protocol import Chunk, Failure, Generate, Reason

PREFIX = "def add(first, second):\n    return first"
SUFFIX = "\n\nprint(add(1, 2))\n"
NEW = 24
OTHERS = {2: "x = 1\n", 3: "while True:\n    value = next(items)\n" * 2, 4: "y"}


@pytest.fixture(scope="module", params=tiny_hub.KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    kind = request.param
    folder = tmp_path_factory.mktemp(kind) / kind
    tiny_hub.write_folder(folder, kind, begins=kind == "llama")
    return opening.load(str(folder), DEVICE.place, DEVICE.dtype)


@pytest.fixture
def bench(model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Random networks turn in circles, and generate() lets them."""
    monkeypatch.setattr(continuation, "turns_in_circles", lambda tokens: False)
    return Bench(tmp_path, model)


def generated(bench: Bench, prefix: str, new: int = NEW) -> str:
    """What transformers' own loop gives, with its own cache and its own masks."""
    model = bench.engine.model
    budget = model.config.max_position_embeddings - new
    request = Generate(0, prefix, SUFFIX, language="Python")
    ids = torch.tensor([render(model.format, model.tokenizer, request, budget).ids])
    network: Any = bench.steps.network
    with torch.inference_mode():
        found = network.lm.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False
        )
    return model.tokenizer.decode(found[0, ids.shape[1] :].tolist())


def ask(bench: Bench, prefix: str = PREFIX, **fields: Any) -> Any:
    return bench.ask(prefix, suffix=SUFFIX, **{"max_new_tokens": NEW, **fields})


@pytest.mark.parametrize("chunk", [1, 7, 16, 512])
def test_the_tokens_of_generate_in_chunks_of_any_length(bench: Bench, chunk: int) -> None:
    bench.engine.device = dataclasses.replace(DEVICE, prefill_chunk=chunk)
    (found,) = ask(bench).candidates
    assert (found.text, found.tokens) == (generated(bench, PREFIX), NEW)


def test_a_prompt_from_the_cache_gives_the_same(bench: Bench) -> None:
    first = ask(bench)
    again = ask(bench)
    assert_same(again.candidates, first.candidates)
    assert again.timing.cached_tokens == again.timing.prompt_tokens - 1


def test_typing_on_gives_the_tokens_of_generate(bench: Bench) -> None:
    ask(bench)
    typed = PREFIX + " + second"
    (found,) = ask(bench, typed).candidates
    assert found.text == generated(bench, typed)


def test_several_clients_share_steps_and_get_what_each_gets_alone(bench: Bench) -> None:
    prefixes = {1: PREFIX, **OTHERS}
    for number, prefix in prefixes.items():
        bench.submit(number, prefix, suffix=SUFFIX, max_new_tokens=NEW)
    bench.serve()
    assert (4, 1) in bench.steps.shapes
    for number, prefix in prefixes.items():
        assert bench.result(number).candidates[0].text == generated(bench, prefix)


def test_candidates_grow_in_branches_and_the_first_is_greedy(bench: Bench) -> None:
    found = ask(bench, candidates=3, temperature=1.0, seed=3).candidates
    assert len({one.text for one in found}) == 3
    assert found[0].text == generated(bench, PREFIX)
    assert all(one.mean_logprob < 0 for one in found)


def test_it_streams_what_it_answers(bench: Bench) -> None:
    (found,) = ask(bench, stream=True).candidates
    pieces = [message.text for _, message in bench.said if isinstance(message, Chunk)]
    assert len(pieces) > 5
    assert "".join(pieces) == found.text


def test_a_cancel_ends_it_between_two_steps(bench: Bench) -> None:
    def cancel(number: int) -> None:
        if number == 9:
            bench.scheduler.cancel(1, 5)

    bench.steps.before = cancel
    bench.submit(5, PREFIX, suffix=SUFFIX, max_new_tokens=NEW)
    bench.serve()
    reply = bench.answer(5)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.CANCELLED
    assert bench.work.report()["cancel"]["steps_after"] <= 1
    assert bench.free_slots() == bench.engine.cache.slots


def test_a_smaller_cache_after_memory_ran_out_gives_the_same(bench: Bench) -> None:
    ran_out = iter([True])

    def run_out(number: int) -> None:
        if number == 8 and next(ran_out, False):
            raise MemoryError

    bench.steps.before = run_out
    for number, prefix in ((1, PREFIX), (2, OTHERS[2])):
        bench.submit(number, prefix, suffix=SUFFIX, max_new_tokens=NEW)
    bench.serve()
    replies = [bench.answer(1), bench.answer(2)]
    (failed,) = [one for one in replies if isinstance(one, Failure)]
    assert failed.reason == Reason.OUT_OF_MEMORY
    kept = 1 if failed.id == 2 else 2
    expected = generated(bench, {1: PREFIX, **OTHERS}[kept])
    assert bench.result(kept).candidates[0].text == expected
