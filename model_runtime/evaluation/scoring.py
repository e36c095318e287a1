"""From samples to scores on HumanEval-X: execute, count, estimate.

The result is a plain dictionary, which the report draws and the JSON file holds.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.execution import Attempt, Execution, execute
from model_runtime.evaluation.languages import BY_PREFIX, LANGUAGES, Language
from model_runtime.evaluation.passk import KS, Count, budgets, pass_at_k
from model_runtime.evaluation.problems import COUNT, Problem, corrected, corrections, load
from model_runtime.evaluation.programs import Rules, declared_includes
from model_runtime.evaluation.samples import Sample
from model_runtime.evaluation.sandbox import limits_held
from model_runtime.evaluation.verdicts import Verdict

# Bodies that compile and can't be right: they end the program or give nothing back.
WRONG_BODIES = {
    "python": "    return None\n",
    "cpp": "    throw 1;\n}\n",
    "java": "        throw new RuntimeException();\n    }\n}",
    "js": "  return undefined\n}\n",
    "go": '    panic("wrong")\n}\n',
}
# How our own rules differ from the published evaluator's.
DIFFERENCES = (
    "A program passes only when it reaches the end of its tests; ending before is no pass.",
    "JavaScript: a failed console.assert counts, and printing doesn't.",
    "Go: vet, which fails right programs for their style, is off.",
    "Java: programs are executed, which the published script leaves out.",
    "C++: libcrypto is linked where OpenSSL is included, not by the problem's number.",
    "A translation is executed behind the target's prompt and the includes of its declaration; "
    "six of the declarations alone don't compile.",
    "Compiler and program have each their own time limit.",
)
BUDGET_KS = (5, 10, 20, 50, 100)


def problems(data: Path, language: Language, rules: Rules, *, overlay: bool) -> list[Problem]:
    """As published for the reference's rules, else corrected; `overlay` is for the solutions."""
    found = load(data, language)
    if rules.reference:
        return found
    return [corrected(problem, solutions=overlay) for problem in found]


def translated(problem: Problem) -> Problem:
    """To run a translation: the target's prompt, and for C++ what only its declaration includes."""
    if problem.language.key != "cpp":
        return problem
    return replace(problem, prompt=declared_includes(problem) + problem.prompt)


def match(samples: Sequence[Sample], known: Mapping[str, Problem], path: Path) -> list[Attempt]:
    """Each sample with its problem. Raises EvaluationError at the first unknown one."""
    tasks = []
    for sample in samples:
        problem = known.get(sample.task_id)
        if problem is None:
            raise EvaluationError(
                f"{path}, line {sample.line}: there is no problem {sample.task_id!r} in the "
                f"chosen languages; ids look like Python/0 or CPP/163."
            )
        tasks.append(Attempt(problem, sample.generation))
    return tasks


def languages_of(samples: Sequence[Sample], path: Path) -> list[Language]:
    """The languages whose problems a file has. Raises EvaluationError for an unknown prefix."""
    found: dict[str, Language] = {}
    for sample in samples:
        language = BY_PREFIX.get(sample.task_id.partition("/")[0])
        if language is None:
            raise EvaluationError(
                f"{path}, line {sample.line}: {sample.task_id!r} is no task of HumanEval-X; "
                f"ids begin with {', '.join(BY_PREFIX)}."
            )
        found[language.key] = language
    return [language for key, language in LANGUAGES.items() if key in found]


def score(
    tasks: Sequence[Attempt], execution: Execution, finished: Callable[[int], None]
) -> dict[str, Any]:
    """Run the tasks; scores by language, their mean, the budgets, and what it cost."""
    wall, cpu = time.monotonic(), _cpu_seconds()
    verdicts = execute(tasks, execution, finished)
    scored = summary(tasks, verdicts)
    scored["cost"] = {
        "programs": len(tasks),
        "cpu_seconds": round(_cpu_seconds() - cpu, 1),
        "wall_seconds": round(time.monotonic() - wall, 1),
    }
    scored["notes"] = notes(scored["languages"])
    scored["isolation"] = limits_held(bare=execution.unsafe)
    scored["rules"] = "reference" if execution.rules.reference else "own"
    if not execution.rules.reference:
        scored["differences"] = DIFFERENCES
        scored["corrections"] = {
            task_id: correction["reason"] for task_id, correction in corrections().items()
        }
    return scored


def summary(tasks: Sequence[Attempt], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Scores by language, mean and budgets."""
    by_language: dict[str, dict[int, list[Verdict]]] = {}
    for task, verdict in zip(tasks, verdicts, strict=True):
        of_problem = by_language.setdefault(task.problem.language.key, {})
        of_problem.setdefault(task.problem.number, []).append(verdict)
    scores = {key: _language(of_problem) for key, of_problem in by_language.items()}
    means = {}
    for k in KS:
        values = [language["pass_at_k"].get(str(k)) for language in scores.values()]
        if None not in values:
            means[str(k)] = sum(values) / len(values)
    return {"languages": scores, "mean": means, "budget": _budgets(by_language)}


def notes(languages: Mapping[str, Any]) -> list[str]:
    """What the figures lack: problems, or samples for an estimate."""
    said = []
    for key, scores in languages.items():
        name = LANGUAGES[key].display
        if scores["problems"] < COUNT:
            said.append(f"{name}: only {scores['problems']} of {COUNT} problems have samples.")
        fewest = min(count for count, _ in scores["passed"].values())
        most = max(count for count, _ in scores["passed"].values())
        if missing := [k for k in KS if fewest < k <= most]:
            said.append(
                f"{name}: pass@{missing[0]} needs {missing[0]} samples of every problem; "
                f"one has only {fewest}."
            )
    return said


def _counts(of_problem: Mapping[int, Sequence[Verdict]]) -> list[Count]:
    return [
        Count(len(verdicts), sum(verdict.passed for verdict in verdicts))
        for _, verdicts in sorted(of_problem.items())
    ]


def _language(of_problem: Mapping[int, Sequence[Verdict]]) -> dict[str, Any]:
    counts = _counts(of_problem)
    estimates = {k: pass_at_k(counts, k) for k in KS}
    kinds = Counter(
        str(verdict.outcome) for verdicts in of_problem.values() for verdict in verdicts
    )
    return {
        "problems": len(counts),
        "samples": sum(count.samples for count in counts),
        "pass_at_k": {str(k): value for k, value in estimates.items() if value is not None},
        "outcomes": dict(kinds.most_common()),
        "passed": {
            str(number): [count.samples, count.passed]
            for number, count in zip(sorted(of_problem), counts, strict=True)
        },
    }


def _budgets(by_language: Mapping[str, Mapping[int, Sequence[Verdict]]]) -> dict[str, Any]:
    """Only for the same problems in all five languages."""
    numbers = {frozenset(of_problem) for of_problem in by_language.values()}
    if set(by_language) != set(LANGUAGES) or len(numbers) != 1:
        return {}
    counts = {key: _counts(of_problem) for key, of_problem in by_language.items()}
    found = {str(k): budgets(counts, k) for k in BUDGET_KS}
    return {k: ways for k, ways in found.items() if None not in ways.values()}


def _cpu_seconds() -> float:
    """Of this process and of all that ended below it, compilers and programs included."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
