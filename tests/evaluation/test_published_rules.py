"""Stop rule, clean-up, estimator and translation prompt against outputs of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_runtime.evaluation.cleanup import clean, finished
from model_runtime.evaluation.languages import GO, JAVA, LANGUAGES
from model_runtime.evaluation.passk import (
    CORPUS_SHARES,
    Count,
    all_fail,
    budget,
    budgets,
    pass_at_k,
    shares,
)
from model_runtime.evaluation.problems import Problem
from model_runtime.evaluation.sampling import generation_prompt, translation_prompt
from model_runtime.prompts.tags import tag_line


def rules(goldens: Path, kind: str) -> list[dict[str, Any]]:
    text = (goldens / "benchmark/rules.jsonl").read_text(encoding="utf-8")
    lines = map(json.loads, text.splitlines())
    found = [line for line in lines if line["kind"] == kind]
    assert found
    return found


def problem(key: str, declaration: str, solution: str = "") -> Problem:
    return Problem(LANGUAGES[key], 0, declaration, declaration, solution, "")


def test_bodies_are_cleaned_as_published(goldens: Path) -> None:
    for rule in rules(goldens, "cleanup_code"):
        assert clean(rule["language"], rule["input"]) == rule["output"], rule


def test_sampling_stops_as_published(goldens: Path) -> None:
    for rule in rules(goldens, "is_code_generation_finished"):
        assert finished(rule["language"], rule["input"]) == rule["output"], rule


def test_the_estimator_is_the_published_one(goldens: Path) -> None:
    for rule in rules(goldens, "pass_at_k"):
        value = 1.0 - all_fail(Count(rule["n"], rule["c"]), rule["k"])
        assert value == pytest.approx(rule["output"], abs=1e-12), rule


def test_translation_prompts_are_the_published_ones(goldens: Path) -> None:
    for rule in rules(goldens, "translation_prompt"):
        source = problem(rule["src"], rule["src_declaration"], rule["src_solution"])
        target = problem(rule["tgt"], rule["tgt_declaration"])
        assert translation_prompt(source, target).text == rule["output"]


def test_a_generation_prompt_gets_its_tag_line_from_the_runtime(goldens: Path) -> None:
    named = {name: key for key, it in LANGUAGES.items() for name in (key, it.display.lower())}
    for rule in rules(goldens, "process_extra_prompt"):
        if (key := named.get(rule["language"].lower())) is not None:
            prompt = generation_prompt(problem(key, rule["input"]))
            assert tag_line(prompt.language) + prompt.text == rule["output"]
    assert tag_line(GO.display) == "// language: Go\n"
    assert tag_line(JAVA.display) == "// language: Java\n"


def test_pass_at_k_needs_k_samples_of_every_problem() -> None:
    counts = [Count(10, 1), Count(10, 0)]
    assert pass_at_k(counts, 1) == pytest.approx(0.05)
    assert pass_at_k(counts, 10) == pytest.approx(0.5)
    assert pass_at_k([*counts, Count(9, 9)], 10) is None
    assert pass_at_k([], 1) is None


def test_samples_are_spread_as_the_corpus_is() -> None:
    assert shares(100, CORPUS_SHARES) == {"cpp": 34, "python": 32, "java": 19, "js": 9, "go": 6}
    assert shares(10, CORPUS_SHARES) == {"cpp": 3, "python": 3, "java": 2, "js": 1, "go": 1}
    assert shares(10, dict.fromkeys(CORPUS_SHARES, 1.0)) == dict.fromkeys(CORPUS_SHARES, 2)


def test_a_budget_counts_a_problem_that_any_language_solves() -> None:
    counts = {"python": [Count(4, 1), Count(4, 0)], "go": [Count(4, 0), Count(4, 2)]}
    # By hand: drawing 2 of 4 misses the one with 1/2, and both of two with 1/6.
    assert budget(counts, {"python": 2, "go": 2}) == pytest.approx((0.5 + 5 / 6) / 2)
    assert budget(counts, {"python": 5, "go": 2}) is None


def test_best_single_is_the_best_of_the_languages() -> None:
    counts = {key: [Count(10, 0)] for key in LANGUAGES} | {"java": [Count(10, 5)]}
    ways = budgets(counts, 10)
    assert ways["best single"] == 1.0
    assert ways["uniform"] == pytest.approx(1 - (5 * 4) / (10 * 9))
