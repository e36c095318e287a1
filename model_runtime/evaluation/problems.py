"""The problems of HumanEval-X as published, from a folder or from the package's own corrections.

Reads the gzip files of the CodeGeeX repository. Knows no program texts; programs.py puts them
together.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.languages import Language

COUNT = 164


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in one language. `number` is the same problem in every language.

    `imports` and `test_setup` are Go's: the prompt's import block, and the file's head with the
    imports of the tests.
    """

    language: Language
    number: int
    prompt: str
    declaration: str
    solution: str
    test: str
    imports: str = ""
    test_setup: str = ""

    @property
    def task_id(self) -> str:
        return f"{self.language.prefix}/{self.number}"


def load(data: Path, language: Language) -> list[Problem]:
    """All 164 in order, as published. Raises EvaluationError."""
    path = data / language.key / "data" / f"humaneval_{language.key}.jsonl.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            problems = [_problem(language, json.loads(line)) for line in lines]
    except FileNotFoundError:
        raise EvaluationError(
            f"{path} is missing; run `codegeex-eval download` or give --data a folder that has it."
        ) from None
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise EvaluationError(
            f"{path} isn't a problem file of HumanEval-X; download it anew."
        ) from error
    if [problem.number for problem in problems] != list(range(COUNT)):
        raise EvaluationError(f"{path} doesn't hold the problems 0 to 163; download it anew.")
    return problems


def _problem(language: Language, fields: dict[str, str]) -> Problem:
    return Problem(
        language=language,
        number=int(fields["task_id"].partition("/")[2]),
        prompt=fields["prompt"],
        declaration=fields["declaration"],
        solution=fields["canonical_solution"],
        test=fields["test"],
        imports=fields.get("import", ""),
        test_setup=fields.get("test_setup", ""),
    )


def corrections() -> dict[str, dict[str, str]]:
    """By task id: a `reason`, and a `solution` to take or an `added_check` for C++'s main()."""
    text = resources.files(__package__).joinpath("corrections.json").read_text(encoding="utf-8")
    fields: dict[str, dict[str, str]] = json.loads(text)
    return fields


def corrected(problem: Problem, *, solutions: bool = True) -> Problem:
    """The problem without its known faults; with `solutions` false only its tests are mended."""
    correction = corrections().get(problem.task_id, {})
    if solutions and "solution" in correction:
        problem = replace(problem, solution=correction["solution"])
    if "added_check" in correction:
        body, brace, rest = problem.test.rpartition("}")
        problem = replace(problem, test=f"{body}    {correction['added_check']}\n{brace}{rest}")
    return problem
