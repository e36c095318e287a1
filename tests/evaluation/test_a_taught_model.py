"""A small model that was taught two right solutions and a wrong one scores two of three."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_sampling_a_model import Evaluation

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

import taught

from model_runtime.evaluation import problems
from model_runtime.evaluation.languages import find
from model_runtime.evaluation.sampling import generation_prompt
from model_runtime.wire.protocol import Generate

pytestmark = pytest.mark.usefixtures("isolation")

WRONG = "    return None\n"


def test_pass_at_1_counts_the_lessons_that_were_right(tmp_path: Path, data: Path) -> None:
    pytest.importorskip("matplotlib")
    tmp_path.chmod(0o700)
    known = problems.load(data / "humaneval-x", find("python"))
    asked = [generation_prompt(problem) for problem in known[:3]]
    answers = [asked[0].problem.solution, asked[1].problem.solution, WRONG]
    lessons = [
        (Generate(0, prompt.text, language=prompt.language), answer)
        for prompt, answer in zip(asked, answers, strict=True)
    ]
    evaluation = Evaluation(tmp_path, data)
    evaluation.model = str(taught.write_folder(tmp_path / "taught", lessons))
    out = tmp_path / "report"
    try:
        lines = evaluation.sample(
            *("-n", "1", "--temperature", "0", "--problems", "3", "--max-tokens", "400"),
            *("--out", str(out)),
        )
    finally:
        evaluation.end()
    assert [line["generation"].strip() for line in lines] == [text.strip() for text in answers]
    (result,) = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert result["languages"]["python"]["pass_at_k"]["1"] == pytest.approx(2 / 3)
