"""Vectors for texts: equal to transformers' own forward, in any batch, and in nobody's way."""

from __future__ import annotations

import array
import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_t5
import torch
import transformers
from engine_bench import DEVICE, Bench
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from model_runtime.engine import embedding
from model_runtime.engine.embedding import EmbeddingRun
from model_runtime.wire.protocol import (
    MOST_TEXTS,
    Embed,
    Embedding,
    Failure,
    Priority,
    Reason,
)

TEXTS = ("sort a list", "def read(path):\n    return open(path).read()\n" * 2, "", "x", "x y " * 60)
PROJECTED = 12


def words() -> dict[str, int]:
    vocabulary: dict[str, int] = tiny_t5.tokenizer_json()["model"]["vocab"]
    return vocabulary


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Any T5: its encoder alone is read."""
    return tiny_t5.write_folder(tmp_path_factory.mktemp("pooled") / "t5")


@pytest.fixture(scope="module")
def projected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of codet5p-110m-embedding: a T5's encoder, and "proj" behind it."""
    folder = tmp_path_factory.mktemp("projected") / "embedding"
    torch.manual_seed(5)
    encoder = transformers.T5EncoderModel(tiny_t5.config(len(words())))
    tiny_t5.write_folder(folder, encoder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["proj.weight"] = torch.randn(PROJECTED, 32)
    tensors["proj.bias"] = torch.randn(PROJECTED)
    save_file(tensors, path, metadata={"format": "pt"})
    about = json.loads((folder / "config.json").read_text())
    about |= {
        "model_type": "codet5p_embedding",
        "architectures": ["CodeT5pEmbeddingModel"],
        "embed_dim": PROJECTED,
        "auto_map": {"AutoModel": "modeling_codet5p_embedding.CodeT5pEmbeddingModel"},
    }
    (folder / "config.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def ask(bench: Bench, model: Path, texts: tuple[str, ...] = TEXTS, **fields: Any) -> Any:
    number = len(bench.said) + 1000
    bench.scheduler.submit(1, Embed(number, texts, str(model), **fields))
    bench.embed()
    (reply,) = [message for _, message in bench.said if message.id == number]
    return reply


def vectors(reply: Any) -> Tensor:
    assert isinstance(reply, Embedding), reply
    numbers = torch.tensor(array.array("f", reply.vectors))
    return numbers.view(reply.count, reply.dimensions)


def states(folder: Path, text: str) -> Tensor:
    """The encoder's, [T, H], by transformers, a text by itself."""
    t5 = transformers.T5EncoderModel.from_pretrained(folder, config=tiny_t5.config(len(words())))
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    ids = torch.tensor([tokenizer(text, truncation=True, max_length=tiny_t5.SOURCE).input_ids])
    with torch.inference_mode():
        found: Tensor = t5.eval()(input_ids=ids).last_hidden_state[0]
    return found


def test_the_mean_of_a_t5s_states(bench: Bench, pooled: Path) -> None:
    found = vectors(ask(bench, pooled))
    for text, vector in zip(TEXTS, found, strict=True):
        expected = functional.normalize(states(pooled, text).mean(0), dim=0)
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


def test_the_projected_first_state_of_codet5p(bench: Bench, projected: Path) -> None:
    found = vectors(ask(bench, projected))
    assert found.shape == (len(TEXTS), PROJECTED)
    proj = load_file(projected / "model.safetensors")
    for text, vector in zip(TEXTS, found, strict=True):
        first = states(projected, text)[0]
        expected = functional.normalize(proj["proj.weight"] @ first + proj["proj.bias"], dim=0)
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [1, 512])
def test_batches_change_nothing(bench: Bench, pooled: Path, chunk: int) -> None:
    """`chunk` 1 makes a batch of every text, 512 one batch of all."""
    alone = torch.cat([vectors(ask(bench, pooled, (text,))) for text in TEXTS])
    device = dataclasses.replace(DEVICE, prefill_chunk=chunk)
    bench.engine.embedder.encoders = embedding.Encoders(device)
    torch.testing.assert_close(vectors(ask(bench, pooled)), alone, atol=1e-5, rtol=0)


def test_batches_are_of_like_lengths_and_bounded() -> None:
    lengths = [3, 50, 4, 49, 200]
    made = embedding.batches(lengths, 100)
    assert sorted(number for batch in made for number in batch) == [0, 1, 2, 3, 4]
    assert made == [[4], [1, 3], [2, 0]]


def test_vectors_have_length_one(bench: Bench, pooled: Path) -> None:
    found = vectors(ask(bench, pooled, ("sort a list", "sort a lists", "zzz")))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_a_control_token_in_a_text_stays_text(bench: Bench, pooled: Path) -> None:
    bench.engine.embedder.encoders.encoder(str(pooled))
    encoder = bench.engine.embedder.encoders.encoder(str(pooled))
    (ids,) = encoder.tokens(["</s>"])
    assert ids[1:-1].count(tiny_t5.END) == 0
    assert len(ids) == 6


def test_no_texts_are_no_vectors(bench: Bench, pooled: Path) -> None:
    reply = ask(bench, pooled, ())
    assert (reply.count, reply.dimensions, reply.vectors) == (0, 32, b"")


def in_the_first_batch(
    bench: Bench, model: Path, do: Callable[[], None], **fields: Any
) -> EmbeddingRun:
    """A request of many batches to its end, with something done while the first one runs."""
    encoder = bench.engine.embedder.encoders.encoder(str(model))
    run_batch = encoder.vectors
    runs: list[Any] = []

    def vectors(texts: Any) -> Tensor:
        runs[:] = bench.engine.embedder.runs.running
        do()
        return run_batch(texts)

    encoder.vectors = vectors  # type: ignore[method-assign]
    bench.scheduler.submit(1, Embed(1, ("x",) * 200, str(model), **fields))
    bench.embed()
    run: EmbeddingRun = runs[0]
    return run


def test_a_cancel_ends_it_between_two_batches(bench: Bench, pooled: Path) -> None:
    run = in_the_first_batch(bench, pooled, lambda: bench.scheduler.cancel(1, 1))
    assert bench.answer(1).reason == Reason.CANCELLED
    assert not run.finished
    assert run.spent.steps == 1


def begun_while_somebody_waits(bench: Bench, model: Path, priority: Priority) -> bool:
    """Whether a batch begins while an interactive completion is at work."""
    order: list[str] = []
    encoder = bench.engine.embedder.encoders.encoder(str(model))
    run_batch = encoder.vectors

    def vectors(texts: Any) -> Tensor:
        order.append("batch")
        return run_batch(texts)

    encoder.vectors = vectors  # type: ignore[method-assign]
    thread = threading.Thread(target=bench.engine.embedder.turn)

    def embed(step: int) -> None:
        order.append("step")
        if step == 1:
            bench.scheduler.submit(1, Embed(1, ("x",) * 200, str(model), priority=priority))
            thread.start()
            thread.join(0.2)  # so long it has for a batch

    bench.steps.before = embed
    bench.submit(2, priority=Priority.INTERACTIVE)
    while 2 not in [message.id for _, message in bench.said]:
        bench.engine.turn()
    order.append("answer")
    thread.join(10)
    assert "batch" in order
    return order.index("batch") < order.index("answer")


def test_no_batch_begins_while_somebody_waits_for_a_completion(bench: Bench, pooled: Path) -> None:
    assert not begun_while_somebody_waits(bench, pooled, Priority.BATCH)


def test_a_question_somebody_waits_for_runs_beside_a_completion(bench: Bench, pooled: Path) -> None:
    assert begun_while_somebody_waits(bench, pooled, Priority.INTERACTIVE)


def test_an_urgent_question_goes_before_the_next_batch(bench: Bench, pooled: Path) -> None:
    bench.scheduler.submit(1, Embed(1, ("x",) * 200, str(pooled)))
    bench.engine.embedder.turn()
    bench.scheduler.submit(1, Embed(2, ("x",), str(pooled), priority=Priority.INTERACTIVE))
    bench.embed()
    assert [message.id for _, message in bench.said] == [2, 1]


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_one_that_lets_others_pass_can_be_ended(bench: Bench, pooled: Path, how: str) -> None:
    bench.scheduler.submit(1, Embed(1, ("x",) * 200, str(pooled)))
    bench.engine.embedder.turn()
    bench.submit(2, priority=Priority.INTERACTIVE)
    thread = threading.Thread(target=bench.engine.embedder.turn)
    thread.start()
    if how == "cancel":
        bench.scheduler.cancel(1, 1)
    else:
        bench.scheduler.close()
    thread.join(10)
    assert bench.answer(1).reason == Reason.CANCELLED


@pytest.mark.parametrize("broken", [False, True], ids=["one text", "the model"])
def test_a_failing_batch_costs_its_request(bench: Bench, pooled: Path, broken: bool) -> None:
    expected = vectors(ask(bench, pooled))
    encoder = bench.engine.embedder.encoders.encoder(str(pooled))
    run_batch, failures = encoder.vectors, iter(range(9 if broken else 1))

    def fail(texts: Any) -> Tensor:
        if next(failures, None) is not None:
            raise SystemExit("secret")
        return run_batch(texts)

    encoder.vectors = fail  # type: ignore[method-assign]
    failed = ask(bench, pooled)
    assert (failed.reason, "secret" in failed.message) == (Reason.ENGINE_ERROR, False)
    torch.testing.assert_close(vectors(ask(bench, pooled)), expected)
    again = bench.engine.embedder.encoders.encoder(str(pooled))
    assert (again is encoder) != broken


def test_a_late_one_is_no_answer(bench: Bench, pooled: Path) -> None:
    in_the_first_batch(bench, pooled, lambda: setattr(bench.clock, "now", 1.0), deadline_ms=50)
    assert bench.answer(1).reason == Reason.DEADLINE


@pytest.mark.parametrize(
    ("model", "texts", "said"),
    [
        ("", ("x",), "must be named"),
        ("/nowhere/at/all", ("x",), "no model folder /nowhere/at/all"),
        ("codegeex-nano", ("x",), "none that makes vectors"),
        ("codet5p-110m-embedding", ("x",), "run: codegeex-lsp models pull codet5p-110m-embedding"),
        ("", ("x",) * (MOST_TEXTS + 1), f"at most {MOST_TEXTS}"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: str,
    texts: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    bench.scheduler.submit(1, Embed(1, texts, model))
    bench.embed()
    answer = bench.answer(1)
    assert isinstance(answer, Failure)
    assert answer.reason == Reason.BAD_REQUEST
    assert said in answer.message
