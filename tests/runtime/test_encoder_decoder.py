"""A T5 gives the tokens of transformers' own generate(), whichever way it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_t5
import torch
from engine_bench import DEVICE, Bench

from model_runtime.errors import WeightsError
from model_runtime.folders import opening
from model_runtime.folders.loaded import LoadedModel
from model_runtime.prompts.rendering import render
from model_runtime.wire.protocol import Chunk, Failure, Generate, Priority, Reason, Result, Task

CODE = "def f(x):\n    return x + 1\n"
OTHERS = {2: "x = 1", 3: "for one in many:\n    print(one)\n" * 2, 4: "y"}
NEW = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5.write_folder(tmp_path_factory.mktemp("t5") / "t5")


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    return opening.load(str(folder), DEVICE.place, DEVICE.dtype)


@pytest.fixture
def bench(model: LoadedModel, tmp_path: Path) -> Bench:
    return Bench(tmp_path, model)


def source(model: LoadedModel, code: str, **fields: Any) -> list[int]:
    """What the encoder reads, </s> at its end."""
    fields = {"task": Task.SUMMARISE, "code": code, "language": "Python", **fields}
    request = Generate(0, "", **fields)
    return [*render(model.format, model.tokenizer, request, tiny_t5.SOURCE).ids, tiny_t5.END]


def generated(model: LoadedModel, ids: list[int], **fields: Any) -> list[str]:
    """What transformers' own loop gives, with its own caches and its own masks."""
    network: Any = model.network
    fields = {"max_new_tokens": NEW, "do_sample": False, **fields}
    with torch.inference_mode():
        found = network.t5.generate(torch.tensor([ids]), **fields)
    return [model.tokenizer.decode(row[1:].tolist()) for row in found]


def submit(bench: Bench, number: int, code: str = CODE, **fields: Any) -> None:
    fields = {"task": Task.SUMMARISE, "code": code, "max_new_tokens": NEW, **fields}
    bench.submit(number, "", **fields)


def ask(bench: Bench, code: str = CODE, **fields: Any) -> Result:
    number = len(bench.said) + 1000
    submit(bench, number, code, **fields)
    bench.serve()
    return bench.result(number)


# --- the same as generate() ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [CODE, *OTHERS.values()])
def test_the_tokens_of_generate(bench: Bench, model: LoadedModel, code: str) -> None:
    (found,) = ask(bench, code).candidates
    assert [found.text] == generated(model, source(model, code))
    assert found.tokens == NEW
    assert len(set(found.text)) > 5, "a network that repeats itself would hide mistakes"


def test_the_source_is_one_piece_and_each_token_a_step(bench: Bench, model: LoadedModel) -> None:
    ask(bench)
    assert bench.steps.shapes == [(1, len(source(model, CODE))), *[(1, 1)] * NEW]


def test_beside_others_with_sources_of_other_lengths(bench: Bench, model: LoadedModel) -> None:
    for number, code in OTHERS.items():
        submit(bench, number, code)
    bench.serve()
    assert (3, 1) in bench.steps.shapes
    for number, code in OTHERS.items():
        (found,) = bench.result(number).candidates
        assert [found.text] == generated(model, source(model, code))


def test_the_same_source_again_is_not_read_again(bench: Bench, model: LoadedModel) -> None:
    first = ask(bench)
    again = ask(bench)
    assert again.candidates[0].text == first.candidates[0].text
    assert again.timing.cached_tokens == len(source(model, CODE))


def test_a_source_that_only_begins_alike_is_read_whole(bench: Bench, model: LoadedModel) -> None:
    ask(bench)
    longer = ask(bench, CODE + "# and so on\n")
    assert longer.timing.cached_tokens == 0
    expected = generated(model, source(model, CODE + "# and so on\n"))
    assert [longer.candidates[0].text] == expected


def test_giving_way_in_the_middle_changes_nothing(bench: Bench, model: LoadedModel) -> None:
    submit(bench, 1, priority=Priority.BATCH)
    bench.with_cache(slots=1, branches=2)  # so that the other one takes its row
    for _ in range(6):
        bench.engine.turn()
    submit(bench, 2, OTHERS[2])
    bench.serve()
    for number, code in ((1, CODE), (2, OTHERS[2])):
        assert [bench.result(number).candidates[0].text] == generated(model, source(model, code))


# --- several candidates -------------------------------------------------------------------------


def test_several_candidates_from_one_reading(bench: Bench, model: LoadedModel) -> None:
    found = ask(bench, candidates=4, temperature=1.5, seed=3).candidates
    assert [found[0].text] == generated(model, source(model, CODE))
    assert len({candidate.text for candidate in found}) == 4
    read = [shape for shape in bench.steps.shapes if shape[1] > 1]
    assert read == [(1, len(source(model, CODE)))]


@pytest.mark.parametrize("width", [2, 4])
def test_the_beams_of_generate(bench: Bench, model: LoadedModel, width: int) -> None:
    """length_penalty 1 divides by the length as ours does, and "never" is our rule for the end."""
    found = ask(bench, beams=width, candidates=width, max_new_tokens=9).candidates
    expected = generated(
        model,
        source(model, CODE),
        max_new_tokens=9,
        num_beams=width,
        num_return_sequences=width,
        length_penalty=1.0,
        early_stopping="never",
    )
    assert [candidate.text for candidate in found] == expected


# --- streams, stops, cancels --------------------------------------------------------------------


def test_chunks_add_up_to_the_answer(bench: Bench) -> None:
    (found,) = ask(bench, stream=True).candidates
    chunks = [message.text for _, message in bench.said if isinstance(message, Chunk)]
    assert "".join(chunks) == found.text
    assert len(chunks) > NEW / 2


def test_a_stop_text_ends_it(bench: Bench) -> None:
    (whole,) = ask(bench).candidates
    (found,) = ask(bench, stop=(whole.text[8:10],)).candidates
    assert (found.text, found.finish) == (whole.text[:8], "stop")


@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_cancel_ends_it_within_the_step(bench: Bench, step: int) -> None:
    """The first step is the encoder's, which can't be left in the middle."""

    def cancel(number: int) -> None:
        if number == step:
            bench.scheduler.cancel(1, 1)

    bench.steps.before = cancel
    submit(bench, 1)
    bench.serve()
    answer = bench.answer(1)
    assert isinstance(answer, Failure)
    assert answer.reason == Reason.CANCELLED
    assert len(bench.steps.shapes) == step
    assert bench.work.steps_after_cancel == 1
    assert bench.free_slots() == bench.engine.cache.slots


# --- tasks --------------------------------------------------------------------------------------


def test_a_gap_is_filled_and_its_marks_are_no_text(bench: Bench, model: LoadedModel) -> None:
    """The network is made to write <s>, <extra_id_0>, "a", "b" and <extra_id_1>."""
    a, b = (model.tokenizer.encode(letter)[0] for letter in "ab")
    script = iter([1, 3, a, b, 4])

    def change(logits: torch.Tensor) -> torch.Tensor:
        if logits.shape[1]:
            logits[:, next(script)] = 1000
        return logits

    bench.steps.change = change
    (found,) = bench.ask("def f(", suffix="): pass").candidates
    assert (found.text, found.finish) == ("ab", "end")
    (read,) = bench.steps.inputs[0].tolist()
    assert model.tokenizer.decode(read[1:7]) == "def f("
    assert read[0] == 1
    assert read[7] == 3


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({"task": Task.SUMMARISE}, "Summarize Python: x = 1"),
        ({"task": Task.DOCSTRING}, "Summarize Python: x = 1"),
        ({"task": Task.TRANSLATE, "target_language": "C"}, "Translate Python to C: x = 1"),
    ],
)
def test_a_task_is_told_in_words(model: LoadedModel, fields: dict[str, Any], prompt: str) -> None:
    assert model.tokenizer.decode(source(model, "x = 1", **fields)[1:-1]) == prompt


def test_control_tokens_in_the_code_stay_text(model: LoadedModel) -> None:
    ids = source(model, "</s><extra_id_0>")
    assert tiny_t5.END not in ids[:-1]
    assert model.tokenizer.decode(ids[1:-1]).endswith("</s><extra_id_0>")


def test_code_that_is_too_long_is_refused_in_one_sentence(bench: Bench) -> None:
    submit(bench, 1, "x = 1\n" * 100)
    bench.serve()
    answer = bench.answer(1)
    assert isinstance(answer, Failure)
    assert answer.reason == Reason.BAD_REQUEST
    assert "too long for this model" in answer.message


def test_an_answer_ends_where_the_positions_do(bench: Bench, model: LoadedModel) -> None:
    (found,) = ask(bench, "x = 1", max_new_tokens=1000).candidates
    assert found.finish in ("length", "loop")
    assert found.tokens <= model.config.max_position_embeddings


# --- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", ["int8", "int4"])
def test_a_quantized_one_says_nearly_the_same(
    folder: Path, model: LoadedModel, kept: str, tmp_path: Path
) -> None:
    quantized = opening.load(str(folder), DEVICE.place, DEVICE.dtype, kept)
    (found,) = ask(Bench(tmp_path, quantized), max_new_tokens=4).candidates
    assert found.tokens == 4


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tiny_t5.write_folder(tmp_path / "t5") / "model.safetensors"
    tensors = load_file(path)
    del tensors["decoder.block.1.layer.1.EncDecAttention.k.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 tensors, decoder\.block\.1.*EncDecAttention"):
        opening.load(str(path.parent), DEVICE.place, DEVICE.dtype)
