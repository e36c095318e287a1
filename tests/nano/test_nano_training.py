"""scripts/nano/train: samples, schedule, a run that learns, and one that is interrupted."""

from __future__ import annotations

import itertools
import json
import lzma
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny import CONTROLS, tokenizer_json
from wheels import code

from model_runtime.prompts.rendering import PromptFormat, render
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate

TEXT = code("alpha", 12)


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty files in two languages to train on and one of each to measure on."""
    folder = tmp_path_factory.mktemp("text")
    topics = [f"topic{index}" for index in range(40)]
    write_set(folder / "mixture.jsonl.xz", topics)
    write_set(folder / "held-out.jsonl.xz", ["other0", "other1"])
    return folder


def write_set(path: Path, topics: list[str]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as out:
        for index, topic in enumerate(topics):
            language = ("Python", "Go")[index % 2]
            record = {"language": language, "package": topic, "path": "a", "text": code(topic)}
            out.write(json.dumps(record) + "\n")


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json()), encoding="utf-8")
    return Tokenizer.from_json(path)


# --- samples ----------------------------------------------------------------------------------


def test_the_three_pieces_of_a_cut_make_up_the_text(training: ModuleType) -> None:
    for seed in range(500):
        hole = training.cut(TEXT, random.Random(seed))
        assert hole.prefix + hole.middle + hole.suffix == TEXT
        assert hole.middle


def test_most_cuts_end_with_their_line(training: ModuleType) -> None:
    holes = [training.cut(TEXT, random.Random(seed)) for seed in range(500)]
    to_line_end = sum(hole.suffix.startswith("\n") or not hole.suffix for hole in holes)
    one_line = sum("\n" not in hole.middle for hole in holes)
    mid_word = sum(hole.prefix[-1:].isalpha() and hole.middle[:1].isalpha() for hole in holes)
    assert to_line_end > 400
    assert one_line > 200
    assert mid_word > 50


def rows_of(training: ModuleType, tokenizer: Tokenizer, folder: Path, context: int = 200) -> object:
    documents = training.Documents(folder / "mixture.jsonl.xz")
    return training.Rows(documents, tokenizer, context)


def assert_of_one_file(training: ModuleType, folder: Path, *pieces: str) -> None:
    documents = training.Documents(folder / "mixture.jsonl.xz")
    texts = [documents.text(index) for index in range(len(documents))]
    assert any(all(piece in text for piece in pieces) for text in texts)


LANGUAGE = r"(?:#|//) language: (\w+)\n"
SUFFIX_FIRST = LANGUAGE + r"<\|fim_suffix\|>(.*)<\|fim_prefix\|>(.+)"
PREFIX_FIRST = LANGUAGE + r"<\|fim_prefix\|>(.*)<\|fim_suffix\|>(.*)<\|fim_middle\|>(.+)"


def samples(
    training: ModuleType, tokenizer: Tokenizer, folder: Path, pattern: str
) -> list[tuple[list[int], tuple[str, ...]]]:
    """Those of 200 that look so, each with the pieces between its control tokens."""
    rows, found = rows_of(training, tokenizer, folder), []
    for seed in range(200):
        ids = rows.sample(random.Random(seed), 1000)
        text = tokenizer.decode(ids)
        if match := re.fullmatch(pattern + r"<\|endoftext\|>", text, re.DOTALL):
            found.append((ids, match.groups()))
    return found


def test_a_suffix_first_sample_is_the_prompt_as_served_and_goes_on_with_the_middle(
    training: ModuleType, tokenizer: Tokenizer, corpus_folder: Path
) -> None:
    found = samples(training, tokenizer, corpus_folder, SUFFIX_FIRST)
    for ids, (language, suffix, text) in found:
        request = Generate(0, text, suffix, language=language)
        served = render(PromptFormat.NANO_FIM, tokenizer, request, 2000).ids
        assert ids == [*served, tokenizer.end_of_text]
        assert_of_one_file(training, corpus_folder, text, suffix)
    assert len(found) > 60


def test_a_prefix_first_sample_holds_all_three_pieces(
    training: ModuleType, tokenizer: Tokenizer, corpus_folder: Path
) -> None:
    found = samples(training, tokenizer, corpus_folder, PREFIX_FIRST)
    for _, (_, prefix, suffix, middle) in found:
        assert_of_one_file(training, corpus_folder, prefix + middle, suffix)
    assert len(found) > 10


def test_samples_fill_their_rows_and_carry_the_tag_line(
    training: ModuleType, tokenizer: Tokenizer, corpus_folder: Path
) -> None:
    rows = rows_of(training, tokenizer, corpus_folder)
    tags = ("# language: Python\n", "// language: Go\n")
    for index in range(100):
        row = rows[index]
        assert row.shape == (201,)
        assert tokenizer.decode(row.tolist()).startswith(tags)
        for room in (64, 100, 201):
            assert len(rows.sample(random.Random(index), room)) <= room


def test_a_row_depends_on_its_index_alone(
    training: ModuleType, tokenizer: Tokenizer, corpus_folder: Path
) -> None:
    one, other = (rows_of(training, tokenizer, corpus_folder) for _ in range(2))
    assert torch.equal(one[7], other[7])
    assert not torch.equal(one[7], one[8])


# --- schedule ---------------------------------------------------------------------------------


def test_the_learning_rate_is_zero_when_the_time_is_over(training: ModuleType) -> None:
    assert training.rate(0.0, 0) == pytest.approx(1 / training.WARM_UP_STEPS)
    assert training.rate(0.5, 1000) == 1.0
    assert training.rate(training.FLAT_UNTIL, 1000) == pytest.approx(1.0)
    assert 0.0 < training.rate(0.9, 1000) < 0.5
    assert training.rate(1.0, 1000) == 0.0
    assert training.rate(1.5, 10) == 0.0


def test_a_slow_machine_warms_up_by_the_clock(training: ModuleType) -> None:
    assert training.rate(training.WARM_UP_SHARE, 3) == 1.0


# --- runs -------------------------------------------------------------------------------------


class Ticks:
    """A clock that moves one second each time somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def new_run(
    training: ModuleType, corpus_folder: Path, tokenizer: Tokenizer, tmp_path: Path
) -> Callable[..., object]:
    def make(minutes: float, name: str = "run") -> object:
        size = training.Size(32, 2, 2, 256 + len(CONTROLS), 128, batch=4, rows=2, weight_decay=0.0)
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "tokenizer.json", folder)
        torch.manual_seed(0)
        held_out = training.Documents(corpus_folder / "held-out.jsonl.xz")
        rows = rows_of(training, tokenizer, corpus_folder, size.context)
        network = training.new_network(size.config())
        return training.Run(
            folder, network, rows, held_out, size, training.Book(minutes), clock=Ticks()
        )

    return make


def test_seconds_of_training_lower_the_loss(new_run: Callable[..., object]) -> None:
    run = new_run(minutes=2)
    run.train()
    losses = [loss for _, loss in run.book.losses]
    assert losses[0] > 5.0
    assert losses[-1] < 0.6 * losses[0]
    first, last = run.book.held_out[0][1], run.book.held_out[-1][1]
    assert set(last) == {"Go", "Python"}
    assert all(last[language] < 0.6 * first[language] for language in last)
    assert run.book.tokens == run.book.step * 4 * 128
    assert (run.folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_step_is_nearly_without_change(new_run: Callable[..., object]) -> None:
    run = new_run(minutes=1)
    run.train()
    assert run.book.progress == 1.0
    assert all(g["lr"] < 0.0025 for o in run.optimizers for g in o.param_groups)


def test_a_resumed_run_equals_the_uninterrupted_one(
    training: ModuleType, new_run: Callable[..., object], corpus_folder: Path
) -> None:
    whole = new_run(minutes=0.5, name="whole")
    whole.train()
    broken = new_run(minutes=0.5, name="broken")
    steps = stop_after(broken, 4)
    state = torch.load(broken.folder / training.CHECKPOINT, weights_only=True)
    again = new_run(minutes=0.5, name="broken")
    again.book = training.Book(**state["book"])
    again.restore(state)
    assert (again.book.step, again.book.tokens) == (steps, steps * 4 * 128)
    # As if the breakdown took no time: the clock stands at the last step, then goes on.
    ticks = itertools.chain([1.0 + again.book.elapsed], itertools.count(broken.clock.now + 1.0))
    again.clock = lambda: next(ticks)
    again.train()
    assert again.book.losses == whole.book.losses
    assert again.book.elapsed == whole.book.elapsed
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name


def stop_after(run: object, steps: int) -> int:
    """Break down when the clock is read after that step, and keep the checkpoint."""

    class StoppedError(Exception):
        pass

    ticks = run.clock

    def clock() -> float:
        now = ticks()
        if run.book.step == steps:
            raise StoppedError
        return now

    run.clock = clock
    with pytest.raises(StoppedError):
        run.train()
    run.clock = ticks
    run.save()
    return run.book.step


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def train(
    training: ModuleType, monkeypatch: pytest.MonkeyPatch, corpus_folder: Path
) -> Callable[..., int]:
    """The command in this process, with a network that takes seconds."""
    tiny = training.Size(32, 2, 2, 400, 128, batch=2, rows=2, weight_decay=0.0)
    monkeypatch.setitem(training.SIZES, "cpu", tiny)

    def command(run: Path, *arguments: object) -> int:
        words = ["train", corpus_folder, run, *arguments]
        monkeypatch.setattr("sys.argv", [str(word) for word in words])
        return training.main()

    return command


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on stderr."""
    message = capsys.readouterr().err
    assert message.startswith("train: ")
    assert message.count("\n") == 1
    return message


def test_an_interrupted_run_goes_on_from_its_checkpoint(
    training: ModuleType,
    train: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save = training.Run.save

    def interrupted(run: object) -> None:
        save(run)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training.Run, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", "--minutes", "0.05")
    monkeypatch.setattr(training.Run, "save", save)
    assert train(tmp_path / "run", "--resume") == 0
    book = json.loads((tmp_path / "run" / "training.json").read_text())
    assert book["elapsed"] >= 0.05 * 60
    assert book["step"] == len(book["losses"]) > 1
    assert [tokens for tokens, _ in book["losses"]] == [
        256 * step for step in range(1, book["step"] + 1)
    ]


def test_a_run_is_neither_overwritten_nor_made_up(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", "--resume") == 2
    assert "holds no run to resume" in refusal(capsys)
    assert train(tmp_path / "run", "--minutes", "0.001") == 0
    capsys.readouterr()
    assert train(tmp_path / "run", "--minutes", "0.001") == 2
    assert "holds a run already" in refusal(capsys)


def test_a_tokenizer_that_does_not_match_the_weights(
    training: ModuleType,
    train: Callable[..., int],
    corpus_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(tmp_path / "first", "--minutes", "0.001") == 0
    other = tmp_path / "other"
    other.mkdir()
    documents = training.Documents(corpus_folder / "held-out.jsonl.xz")
    training.train_tokenizer(documents, 300, other / "tokenizer.json")
    capsys.readouterr()
    assert train(tmp_path / "a", "--from", tmp_path / "first", "--tokenizer", other) == 2
    assert f"{other / 'tokenizer.json'} doesn't match the weights" in refusal(capsys)
    small = replace(training.SIZES["cpu"], vocabulary=280)
    monkeypatch.setitem(training.SIZES, "cpu", small)
    assert train(tmp_path / "b", "--tokenizer", other, "--minutes", "0.001") == 2
    assert " tokens for 280 rows; give the tokenizer" in refusal(capsys)


def test_weights_and_their_count_of_tokens_are_taken_over(
    train: Callable[..., int], tmp_path: Path
) -> None:
    assert train(tmp_path / "first", "--minutes", "0.001") == 0
    assert train(tmp_path / "second", "--minutes", "0.001", "--from", tmp_path / "first") == 0
    first, second = (
        json.loads((tmp_path / name / "training.json").read_text()) for name in ("first", "second")
    )
    assert second["tokens_before"] == first["tokens"]
    name, last = first["held_out"][-1]
    assert name == first["tokens"]
    assert second["held_out"][0][1] == pytest.approx(last, abs=0.01)


def test_what_is_no_corpus_is_one_sentence(
    training: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mixture.jsonl.xz").write_bytes(b"no archive")
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["train", str(folder), str(tmp_path / "run")])
            assert training.main() == 2
        assert "make it with scripts/nano/corpus" in refusal(capsys)
