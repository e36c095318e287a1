"""A model that converses is asked in words, and the code of its answers is what is executed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_sampling_a_model import Evaluation

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

import taught

from model_runtime.evaluation import problems
from model_runtime.evaluation.languages import find
from model_runtime.evaluation.sampling import generation_prompt, translation_prompt
from model_runtime.prompts.rendering import PromptFormat

pytestmark = pytest.mark.usefixtures("isolation")
GREEDY = ("-n", "1", "--temperature", "0", "--max-tokens", "400")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """It answers two questions rightly, one wrongly, and translates one function."""
    known = problems.load(data / "humaneval-x", find("python"))[:3]
    others = problems.load(data / "humaneval-x", find("js"))
    solutions = [known[0].solution, known[1].solution, "    return None\n"]
    lessons = [
        (
            generation_prompt(one).question,
            f"Sure!\n```python\n{one.declaration}{solution}```\nIt does what was asked for.",
        )
        for one, solution in zip(known, solutions, strict=True)
    ]
    question = translation_prompt(others[0], known[0]).question
    lessons.append((question, f"```python\n{known[0].declaration}{known[0].solution}```"))
    folder = tmp_path_factory.mktemp("tuned") / "model"
    return taught.write_folder(folder, lessons, PromptFormat.CHATML)


@pytest.fixture
def evaluation(tmp_path: Path, data: Path, tuned: Path) -> Iterator[Evaluation]:
    tmp_path.chmod(0o700)
    made = Evaluation(tmp_path, data)
    made.model = str(tuned)
    yield made
    made.end()


def test_the_code_of_its_answers_is_executed(evaluation: Evaluation) -> None:
    pytest.importorskip("matplotlib")
    out = evaluation.folder / "report"
    lines = evaluation.sample(*GREEDY, "--problems", "3", "--out", str(out))
    assert {line["way"] for line in lines} == {"conversation"}
    assert all(line["answer"].startswith("Sure!\n```python\n") for line in lines)
    assert not any("```" in line["generation"] for line in lines)
    (result,) = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert result["languages"]["python"]["pass_at_k"]["1"] == pytest.approx(2 / 3)
    assert result["settings"]["way"] == "conversation"
    assert "way conversation" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_it_translates_in_a_conversation(evaluation: Evaluation) -> None:
    lines = evaluation.sample(*GREEDY, "--problems", "1", "--source", "js")
    assert [line["way"] for line in lines] == ["conversation"]
    scored = evaluation.run("humaneval-x", "--score", str(evaluation.folder / "samples.jsonl"))
    assert "1 of 1 passed" in scored.stdout
    assert "asked by conversation" in scored.stdout


def test_it_can_be_asked_to_go_on_and_the_two_are_kept_apart(evaluation: Evaluation) -> None:
    lines = evaluation.sample(*GREEDY, "--problems", "1", "--ask", "completion")
    assert [line["way"] for line in lines] == ["completion"]
    samples = str(evaluation.folder / "samples.jsonl")
    for ask in ("auto", "conversation"):
        done = evaluation.run(
            *("humaneval-x", "--model", evaluation.model, "--samples", samples, "--ask", ask),
            *("--languages", "python", *GREEDY, "--problems", "2"),
        )
        assert done.returncode == 2
        assert "was sampled with way 'completion' and not 'conversation'" in done.stderr


def test_beams_and_the_likeliest_tokens_are_drawn(evaluation: Evaluation) -> None:
    asked = ("--problems", "1", "--ask", "completion", "-n", "2")
    lines = evaluation.sample("--max-tokens", "8", "--temperature", "0", "--beams", "2", *asked)
    assert [(line["beams"], line["top_k"]) for line in lines] == [(2, 0)] * 2
    assert len({line["generation"] for line in lines}) == 2
    (evaluation.folder / "samples.jsonl").unlink()
    lines = evaluation.sample("--max-tokens", "8", "--temperature", "2", "--top-k", "1", *asked)
    assert len({line["generation"] for line in lines}) == 1
    done = evaluation.run("humaneval-x", *asked, "--beams", "1", "-n", "3", "--beams", "2")
    assert (done.returncode, "2 beams give as many samples" in done.stderr) == (2, True)


def test_samples_of_before_were_completions(evaluation: Evaluation) -> None:
    lines = evaluation.sample(*GREEDY, "--problems", "1", "--ask", "completion")
    del lines[0]["way"]
    (evaluation.folder / "samples.jsonl").write_text(json.dumps(lines[0]) + "\n")
    assert len(evaluation.sample(*GREEDY, "--problems", "2", "--ask", "completion")) == 2


def test_its_dialogues_are_conversations(evaluation: Evaluation) -> None:
    path = evaluation.folder / "dialogues.jsonl"
    done = evaluation.run(
        *("mtpb", "--model", evaluation.model, "--samples", str(path), "--problems", "1"),
        *("--max-tokens", "8"),
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {line["way"] for line in lines} == {"conversation"}
    assert "asked by conversation" in done.stdout


def test_a_model_that_continues_text_can_not_be_asked_in_words(tmp_path: Path, data: Path) -> None:
    tmp_path.chmod(0o700)
    plain = Evaluation(tmp_path, data)
    done = plain.run("humaneval-x", "--model", plain.model, "--ask", "conversation")
    plain.end()
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "This model isn't tuned to conversations; leave --ask out, or ask by completion."
    )
