"""Programs of HumanEval-X really executed: some problems of each language, right and wrong.

All 820 are a command: `codegeex-eval humaneval-x --canonical`, and `--wrong-bodies`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from compilers import need

from model_runtime.evaluation.execution import Attempt, Execution, execute
from model_runtime.evaluation.languages import LANGUAGES
from model_runtime.evaluation.problems import Problem, corrected, load
from model_runtime.evaluation.programs import Rules
from model_runtime.evaluation.scoring import WRONG_BODIES, translated
from model_runtime.evaluation.verdicts import Outcome, Verdict

pytestmark = pytest.mark.usefixtures("isolation")
# Where the languages differ: lists, a helper before the function, maps of anything, MD5.
NUMBERS = (0, 32, 38, 95, 162)
REFERENCE = Execution(rules=Rules(reference=True))
LOOPS = {
    "python": "    while True: pass\n",
    "cpp": "    for(volatile int i = 0;;) i = 0;\n}\n",
    "java": "        while (numbers != null);\n        return false;\n    }\n}",
    "js": "  while (true);\n}\n",
    "go": "    for {}\n}\n",
}
EARLY_EXITS = {
    "python": "    import os; os._exit(0)\n",
    "cpp": "    exit(0);\n}\n",
    "java": "        System.exit(0);\n        return false;\n    }\n}",
    "js": "  process.exit(0)\n}\n",
}


def problem(data: Path, key: str, number: int) -> Problem:
    return corrected(load(data / "humaneval-x", LANGUAGES[key])[number])


def run(
    data: Path, key: str, number: int, body: str | None = None, execution: Execution | None = None
) -> Verdict:
    one = problem(data, key, number)
    task = Attempt(one, one.solution if body is None else body)
    return execute([task], execution or Execution(workers=1))[0]


@pytest.mark.parametrize("key", LANGUAGES)
def test_right_bodies_pass_and_wrong_ones_fail(data: Path, key: str) -> None:
    need(key)
    problems = [problem(data, key, number) for number in NUMBERS]
    tasks = [Attempt(one, one.solution) for one in problems]
    tasks += [Attempt(one, WRONG_BODIES[key]) for one in problems]
    tasks += [Attempt(one, "    this does not compile (\n") for one in problems[:1]]
    verdicts = execute(tasks, Execution())
    passed = [verdict.passed for verdict in verdicts]
    assert passed == [True] * len(NUMBERS) + [False] * (len(NUMBERS) + 1), verdicts


@pytest.mark.parametrize("key", LANGUAGES)
def test_an_endless_loop_is_out_of_time(data: Path, key: str) -> None:
    need(key)
    verdict = run(data, key, 0, LOOPS[key], Execution(workers=1, seconds=2.0))
    assert verdict.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize("key", EARLY_EXITS)
def test_ending_before_the_tests_is_no_pass(data: Path, key: str) -> None:
    need(key)
    assert run(data, key, 0, EARLY_EXITS[key]).outcome is Outcome.EARLY_EXIT
    assert run(data, key, 0, EARLY_EXITS[key], REFERENCE).passed


def test_strlen_needs_a_right_body_by_our_added_check(data: Path) -> None:
    need("cpp")
    assert run(data, "cpp", 23).passed
    assert not run(data, "cpp", 23, "    return {};\n}\n").passed
    published = load(data / "humaneval-x", LANGUAGES["cpp"])[23]
    assert execute([Attempt(published, "    return {};\n}\n")], REFERENCE)[0].passed


def test_the_two_published_solutions_that_are_wrong_fail_without_the_overlay(data: Path) -> None:
    need("js")
    published = load(data / "humaneval-x", LANGUAGES["js"])
    tasks = [Attempt(published[number], published[number].solution) for number in (112, 155, 0)]
    assert [verdict.passed for verdict in execute(tasks, Execution())] == [False, False, True]
    assert [verdict.passed for verdict in execute(tasks, REFERENCE)] == [False, False, True]
    mended = [corrected(published[number]) for number in (112, 155)]
    tasks = [Attempt(one, one.solution) for one in mended]
    assert all(verdict.passed for verdict in execute(tasks, Execution()))


def test_a_debug_print_fails_javascript_by_the_reference_only(data: Path) -> None:
    need("js")
    body = "  console.log('here')\n" + problem(data, "js", 0).solution
    assert run(data, "js", 0, body).passed
    assert not run(data, "js", 0, body, REFERENCE).passed


def test_vet_fails_go_by_the_reference_only(data: Path) -> None:
    need("go")
    body = '    if false { fmt.Printf("%d", "text") }\n' + problem(data, "go", 0).solution
    assert run(data, "go", 0, body).passed
    assert run(data, "go", 0, body, REFERENCE).outcome is Outcome.COMPILE


def test_a_declared_include_serves_a_translation(data: Path) -> None:
    need("cpp")
    one = problem(data, "cpp", 0)
    with_map = replace(one, declaration="#include<map>\n" + one.declaration)
    body = "    std::map<int, int> seen;\n" + one.solution
    verdicts = execute([Attempt(translated(with_map), body), Attempt(with_map, body)], Execution())
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED, Outcome.COMPILE]


def test_verdicts_depend_on_neither_workers_nor_order(data: Path) -> None:
    need("js")
    problems = [problem(data, "python", number) for number in range(6)]
    problems += [problem(data, "js", number) for number in range(6)]
    bodies = [
        one.solution if one.number % 2 else WRONG_BODIES[one.language.key] for one in problems
    ]
    tasks = [Attempt(one, body) for one, body in zip(problems, bodies, strict=True)]
    forwards = execute(tasks, Execution(workers=1))
    backwards = execute(tasks[::-1], Execution(workers=3))
    assert forwards == backwards[::-1]
    assert [verdict.passed for verdict in forwards] == [False, True] * 6


def test_equal_bodies_run_once_and_count_each(data: Path) -> None:
    one = problem(data, "python", 0)
    told: list[int] = []
    verdicts = execute([Attempt(one, one.solution)] * 5, Execution(), told.append)
    assert [verdict.passed for verdict in verdicts] == [True] * 5
    assert told == [5]


def test_failures_have_kinds(data: Path) -> None:
    need("cpp")
    hungry = "    std::string s(1 << 20, 'x'); while (true) s += s;\n}\n"
    assert run(data, "cpp", 0, hungry).outcome is Outcome.MEMORY
    assert run(data, "python", 0, "    return x\n").outcome is Outcome.ERROR
    assert run(data, "python", 0, "    return 1\n").outcome is Outcome.WRONG
    assert run(data, "python", 0, "    print('x' * (1 << 22))\n").outcome is Outcome.OUTPUT


def test_one_that_overruns_the_compiler_fails_alone(data: Path) -> None:
    need("java")
    one = problem(data, "java", 0)
    deep = "        int x = " + "(" * 30000 + "1" + ")" * 30000 + ";\n"
    tasks = [Attempt(one, deep + one.solution), Attempt(one, one.solution)]
    verdicts = execute(tasks, Execution(workers=1))
    assert verdicts[1].passed
    assert verdicts[0].outcome is Outcome.COMPILE


def test_unsafe_runs_without_bubblewrap(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = problem(data, "python", 0)
    monkeypatch.setattr("model_runtime.evaluation.execution.require_isolation", pytest.fail)
    tasks = [Attempt(one, one.solution), Attempt(one, "    return 1\n")]
    verdicts = execute(tasks, Execution(unsafe=True))
    assert [verdict.passed for verdict in verdicts] == [True, False]
