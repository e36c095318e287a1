"""MTPB: its problems, where a turn ends, and what counts as the right last print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model_runtime.evaluation import mtpb
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.execution import Execution, judge
from model_runtime.evaluation.mtpb import Case
from model_runtime.evaluation.mtpb_evaluation import summary
from model_runtime.evaluation.runners.mtpb import BY_OURS, MtpbRunner, case_program
from model_runtime.evaluation.verdicts import Outcome, Verdict


def test_there_are_575_cases_of_115_problems(data: Path) -> None:
    cases = mtpb.load(data / "mtpb/mtpb.jsonl")
    assert len(cases) == 575
    assert len({case.problem for case in cases}) == 115
    assert sum(len(case.turns) for case in cases) == 2570
    assert cases[0].turns[0] == 'Assign the string "abcde" to a variable named "my_string".'
    assert cases[0].gold == ["a", "b", "c", "d", "e"]


def test_by_the_published_comparison_558_cases_can_pass(data: Path) -> None:
    cases = mtpb.load(data / "mtpb/mtpb.jsonl")
    odd = [case for case in cases if isinstance(case.gold, dict) or case.gold is None]
    runnable = [case for case in cases if case.problem not in mtpb.NOT_RUNNABLE]
    assert (len(runnable), len(odd)) == (565, 7)
    assert not [case for case in odd if case not in runnable]


def test_a_dialogue_grows_by_comments_and_answers() -> None:
    prompt = mtpb.ask(mtpb.START, "Set x to 3.")
    assert prompt.endswith("import numpy as np\n\n# Set x to 3.\n")
    history = mtpb.answer(prompt, "x = 3\n# Print x.\nprint(x)\n")
    assert history == prompt + "x = 3\n\n\n"
    assert mtpb.ask(history, "Print x.").startswith(history)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x = 1\n", "x = 1\n"),
        ("print(1)\nprint(2)\n", "print(1)\n"),
        ("def f():\n    return 1\ndef g():\n    pass\n", "def f():\n    return 1\n"),
        ("x = 1  # one\ny = 2\n# next\n", "x = 1  # one\ny = 2\n"),
        ("x = 1\n\n\n\ny = 2", "x = 1"),
        ('x = 1\n"""text"""', "x = 1\n"),
        ("x = 1<|endoftext|>y", "x = 1"),
        ("# nothing", ""),
    ],
)
def test_a_turn_ends_as_published(text: str, kept: str) -> None:
    assert mtpb.truncate(text) == kept


def verdicts(pairs: Sequence[tuple[str, Any]], seconds: float = 10.0) -> list[Verdict]:
    programs = [case_program(text, gold) for text, gold in pairs]
    found = dict(judge(MtpbRunner, list(dict.fromkeys(programs)), Execution(seconds=seconds)))
    return [found[program] for program in programs]


@pytest.mark.usefixtures("isolation")
def test_the_last_print_is_compared_as_an_object() -> None:
    pairs: list[tuple[str, Any]] = [
        ("print(3)", 3),
        ("print('a')\nprint([1, 2], 'more')", [1, 2]),
        ("x = 3\nx", 3),
        ("print((1, 2))", [1, 2]),
        ("print([(1, 2)])", [[1, 2]]),
        ("print('3')", 3),
        ("print(3)", "3"),
        ("print('True')", True),
        ("print(0.1 + 0.2)", 0.3),
        ("import numpy as np\nprint(np.array([1.0, 2.0]))", [1, 2]),
        ("import numpy as np\nprint(np.float64(2.5))", 2.5),
        ("import numpy as np\nprint([np.int64(4)])", [4]),
    ]
    assert [verdict.passed for verdict in verdicts(pairs)] == [True] * len(pairs)


@pytest.mark.usefixtures("isolation")
def test_series_of_pandas_and_models_of_scikit_learn_work() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    pairs: list[tuple[str, Any]] = [
        ("import pandas as pd\nprint(pd.Series([1, 2]))", [1, 2]),
        (
            "import numpy as np\nfrom sklearn.linear_model import LinearRegression\n"
            "model = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))\n"
            "print(model.predict(np.array([[2.0]]))[0])",
            5.0,
        ),
    ]
    found = verdicts(pairs, seconds=30.0)
    assert [verdict.passed for verdict in found] == [True, True], found


@pytest.mark.usefixtures("isolation")
def test_wrong_programs_fail_each_in_its_way() -> None:
    pairs: list[tuple[str, Any]] = [
        ("print(4)", 3),
        ("x = 3", 3),
        ("print(1.001)", 1.0),
        ("print('False')", True),
        ("print([1])", [1, 2]),
        ("print(None)", 3),
        ("print(3\n", 3),
        ("raise SystemExit(0)", 3),
        ("while True: pass", 3),
    ]
    outcomes = [verdict.outcome for verdict in verdicts(pairs, seconds=3.0)]
    assert outcomes[:6] == [Outcome.WRONG] * 6
    assert outcomes[6:] == [Outcome.ERROR, Outcome.EARLY_EXIT, Outcome.TIMEOUT]


@pytest.mark.usefixtures("isolation")
def test_dictionaries_and_none_are_right_by_ours_only() -> None:
    pairs: list[tuple[str, Any]] = [
        ("print({'a': 1})", {"a": 1}),
        ("print(None)", None),
        ("print({'a': 2})", {"a": 1}),
        ("print('None')", None),
    ]
    first, second, *wrong = verdicts(pairs)
    assert first == second == Verdict(Outcome.PASSED, BY_OURS)
    assert [verdict.outcome for verdict in wrong] == [Outcome.WRONG] * 2


def test_both_countings_are_given() -> None:
    cases = [
        Case(1, 0, (), 1, 128, "math"),
        Case(2, 0, (), None, 128, "math"),
        Case(3, 0, (), 2, 128, "array"),
        Case(38, 0, (), 3, 128, "data science"),
    ]
    ran = [
        Verdict(Outcome.PASSED),
        Verdict(Outcome.PASSED, BY_OURS),
        Verdict(Outcome.WRONG),
        Verdict(Outcome.ERROR),
    ]
    found = summary(cases, ran)
    published, ours = found["countings"].values()
    assert (published["passed"], published["cases"]) == (1, 4)
    assert (ours["passed"], ours["cases"]) == (2, 3)
    assert found["categories"] == [["math", 100.0], ["array", 0.0]]


def test_a_damaged_problem_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="codegeex-eval download"):
        mtpb.load(tmp_path / "none")
    (tmp_path / "bad").write_text(json.dumps({"id": "1"}))
    with pytest.raises(EvaluationError, match="download it anew"):
        mtpb.load(tmp_path / "bad")
