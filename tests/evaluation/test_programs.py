"""Whole programs from bodies, and what is corrected in the published problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.languages import CPP, GO, JAVASCRIPT, LANGUAGES, PYTHON, find
from model_runtime.evaluation.problems import Problem, corrected, load
from model_runtime.evaluation.programs import (
    Rules,
    assemble,
    declared_includes,
    indented,
)

OURS, REFERENCE = Rules(), Rules(reference=True)


def test_all_languages_have_the_same_164_problems(data: Path) -> None:
    for language in LANGUAGES.values():
        problems = load(data / "humaneval-x", language)
        assert [problem.number for problem in problems] == list(range(164))
        assert problems[5].task_id == f"{language.prefix}/5"


def test_a_python_body_ends_before_column_0() -> None:
    assert indented("    return 1\n\nprint(2)\n") == "    return 1\n"
    assert indented("\n    return 1\n") == "\n    return 1\n"


def test_a_cpp_program_has_each_include_once() -> None:
    problem = Problem(CPP, 0, "#include<vector>\nint f(){\n", "", "", "int main(){\n}\n")
    text = assemble(problem, "    return 1;\n}\n", REFERENCE, 80).text
    assert text.count("#include<vector>") == 1
    assert text.startswith("#include<stdlib.h>\n#include<algorithm>\n")


def test_a_go_program_imports_what_its_body_names_and_its_tests_do_not() -> None:
    problem = Problem(
        GO,
        0,
        'import (\n    "math"\n)\n\nfunc F() int {\n',
        "",
        "",
        "func TestF(t *testing.T) {\n}\n",
        imports='import (\n    "math"\n)\n',
        test_setup='package main\n\nimport (\n    "testing"\n    "sort"\n)\n',
    )
    text = assemble(problem, "    sort.Ints(x)\n    return strings.Count(y)\n}\n", OURS, 80).text
    assert text.count('"strings"') == 1
    assert text.count('"sort"') == 1
    assert '"math"' not in text


@pytest.mark.parametrize("key", ["python", "cpp", "java", "js"])
def test_the_proof_of_arrival_stands_behind_the_tests(key: str, data: Path) -> None:
    for problem in load(data / "humaneval-x", LANGUAGES[key]):
        program = assemble(problem, problem.solution, OURS, 97)
        assert program.arrival == 97
        assert "97" in program.text[-60:]
        assert assemble(problem, problem.solution, REFERENCE, 97).arrival == 0


def test_the_published_files_are_corrected_in_four_places_only(data: Path) -> None:
    changed = [
        problem.task_id
        for language in LANGUAGES.values()
        for problem in load(data / "humaneval-x", language)
        if corrected(problem) != problem
    ]
    assert changed == ["CPP/23", "JavaScript/112", "JavaScript/155", "Go/95"]


def test_without_the_overlay_only_the_test_is_corrected(data: Path) -> None:
    problems = load(data / "humaneval-x", JAVASCRIPT)
    assert corrected(problems[112], solutions=False) == problems[112]


def test_a_translation_gets_the_includes_of_its_declaration(data: Path) -> None:
    problem = load(data / "humaneval-x", CPP)[23]
    assert (
        declared_includes(problem) == "#include<math.h>\n#include<algorithm>\n#include<stdlib.h>\n"
    )


def test_a_language_without_problems_is_named() -> None:
    with pytest.raises(EvaluationError, match="no problems in 'cobol'"):
        find("cobol")
    assert find("C++") is CPP
    assert find(" Python") is PYTHON


def test_a_missing_or_damaged_problem_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="codegeex-eval download"):
        load(tmp_path, PYTHON)
    folder = tmp_path / "python/data"
    folder.mkdir(parents=True)
    (folder / "humaneval_python.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(EvaluationError, match="download it anew"):
        load(tmp_path, PYTHON)
