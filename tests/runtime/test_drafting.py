"""Drafts from the memory: the same greedy text in fewer steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from engine_bench import Bench

from benchmarks.drafting import Engine, compare, places
from model_runtime.decoding import drafting
from model_runtime.decoding.drafting import Drafts
from model_runtime.decoding.mixing import Trust
from model_runtime.folders.native import TOKENIZER_FILE
from model_runtime.options import EMBEDDED_FOLDER
from model_runtime.recall.ngrams import Index
from model_runtime.recall.recall import LineTokens, Recall, Vocabulary
from model_runtime.text.tokenizer import Tokenizer

ALWAYS = Trust(bias=50.0, match=0.0, agreement=0.0, places=0.0, network=0.0)
TOKENIZER = Tokenizer.from_json(EMBEDDED_FOLDER / TOKENIZER_FILE)
MODEL_RUNTIME = EMBEDDED_FOLDER.parent
REPEATED = "for item in sorted(items):\n    use(item)\n\nfor item in sor"
KNOWN = "connection.send_everything(now)\nother = 1\nconnection.send_ev"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A model that writes what the memory says."""
    made = Bench(tmp_path)
    made.engine.model = dataclasses.replace(made.engine.model, trust=ALWAYS)
    return made


def decode_steps(bench: Bench) -> int:
    return sum(1 for _, tokens in bench.steps.shapes if tokens < 10)


def test_known_text_is_written_several_tokens_a_step(bench: Bench) -> None:
    (found,) = bench.ask(KNOWN, max_new_tokens=40, max_lines=1).candidates
    assert found.text == "erything(now)"
    assert decode_steps(bench) < found.tokens / 2


def test_a_cancelled_draft_was_one_step(bench: Bench) -> None:
    def cancel(number: int) -> None:
        if bench.steps.shapes[-1][1] in range(2, 10):
            bench.scheduler.cancel(1, 1)

    bench.steps.before = cancel
    bench.submit(1, KNOWN, max_new_tokens=40)
    bench.serve()
    assert bench.work.steps_after_cancel == 1


@pytest.mark.parametrize("fields", [{"temperature": 0.5}, {"candidates": 2}, {"beams": 2}])
def test_drawn_candidates_several_and_beams_take_no_drafts(
    bench: Bench, fields: dict[str, object]
) -> None:
    bench.ask(KNOWN, max_new_tokens=12, **fields)
    assert decode_steps(bench) == sum(1 for _, tokens in bench.steps.shapes if tokens == 1)


def test_the_last_token_fits_the_context(tmp_path: Path) -> None:
    bench = Bench(tmp_path, context=64)
    bench.engine.model = dataclasses.replace(bench.engine.model, trust=ALWAYS)
    text = "abcdefghij" * 20
    (found,) = bench.ask(text, max_new_tokens=30).candidates
    assert found.finish in ("length", "loop")


def test_what_was_guessed_wrong_is_not_taken_for_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong guesses leave keys behind; a request that goes on from there must not see them."""
    drafting, plain = Bench(tmp_path), Bench(tmp_path)
    plain.engine.drafting = False
    monkeypatch.setattr(Recall, "draft", lambda self, grown, count: [50, 60, 70][:count])
    text = "abc abd abc abd abc ab"
    first = drafting.ask(text, max_new_tokens=20)
    assert any(tokens in range(2, 9) for _, tokens in drafting.steps.shapes[1:])
    longer = text + first.candidates[0].text
    assert first.candidates[0].text == plain.ask(text, max_new_tokens=20).candidates[0].text
    assert (
        drafting.ask(longer, max_new_tokens=20).candidates[0].text
        == plain.ask(longer, max_new_tokens=20).candidates[0].text
    )


def test_wrong_drafts_pause_and_right_ones_grow() -> None:
    lines = LineTokens(TOKENIZER)
    memory = Recall(lines, Vocabulary(TOKENIZER), REPEATED, "", Index.empty())
    drafts = Drafts(memory, one_line=False)
    assert len(drafts.next([], 99)) == drafting.FIRST
    drafts.learn(3, 3)
    assert len(drafts.next([], 99)) == drafting.LONGEST
    assert len(drafts.next([], 2)) == 2
    drafts.learn(7, 0)
    drafts.learn(3, 0)
    assert [len(drafts.next([], 99)) for _ in range(3)] == [0, 0, drafting.FIRST]


def test_a_draft_for_one_line_ends_with_the_line() -> None:
    lines = LineTokens(TOKENIZER)
    memory = Recall(
        lines, Vocabulary(TOKENIZER), "now = f(x)\nnext()\nnow = f(x", "", Index.empty()
    )
    assert TOKENIZER.decode(Drafts(memory, one_line=True).next([], 7)) == ")"
    assert "\n" in TOKENIZER.decode(Drafts(memory, one_line=False).next([], 7))


def test_greedy_output_of_the_embedded_model_is_the_same_with_drafts() -> None:
    """On the project's own files, in float32; `scripts/bench speed` does it on any others."""
    engine = Engine("codegeex-nano")
    ways = compare(engine, places(MODEL_RUNTIME, 8), tokens=24, lines=0)
    assert ways.different == 0
    assert ways.with_drafts.steps < ways.without.steps
