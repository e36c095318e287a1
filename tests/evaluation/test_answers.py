"""Answers in words: the code is found, and the program made of it does what the code says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from compilers import need

from model_runtime.evaluation import answers, forwarding
from model_runtime.evaluation.execution import Attempt, Execution, execute
from model_runtime.evaluation.languages import LANGUAGES
from model_runtime.evaluation.problems import Problem, corrected, load
from model_runtime.evaluation.verdicts import Verdict

CODE = "def larger(a, b):\n    return max(a, b)\n"
# Where the languages differ: plain, a helper before the function, maps of anything, a comment that
# looks like a package, a helper that the prompt has.
NUMBERS = (0, 32, 38, 137, 158)


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{CODE}```",
        f"Sure! Here it is:\n\n```python\n{CODE}```\n\nIt uses `max`.",
        f"```\n{CODE}```",
        f"~~~ Python\n{CODE}~~~\n",
        f"````\n{CODE}````",
        f"1. So:\n\n    ```python\n    {CODE.strip().replace(chr(10), chr(10) + '    ')}\n    ```",
        f"First the tests:\n```python\nassert True\n```\nand the function:\n```python\n{CODE}```",
        f"```python\n{CODE}```\nThis is how to call it:\n```python\nprint(larger(1, 2))\n```",
        f"```python\n{CODE}",
        CODE,
    ],
)
def test_the_code_is_found(answer: str) -> None:
    assert answers.code(answer, "larger") == CODE


def test_an_answer_is_whole_when_its_code_is() -> None:
    assert not answers.said("Here is `larger`:\n```python\n", "larger")
    assert not answers.said(f"```python\n{CODE}", "larger")
    assert not answers.said("```sh\npip install numpy\n```\n", "larger")
    assert answers.said(f"```python\n{CODE}```", "larger")


def problem(data: Path, key: str, number: int) -> Problem:
    need(key)
    return corrected(load(data / "humaneval-x", LANGUAGES[key])[number])


def judged(one: Problem, code: str) -> Verdict:
    text = forwarding.body(one, answers.code(f"So:\n```\n{code}\n```\nDone.", forwarding.name(one)))
    return execute([Attempt(one, text)], Execution(workers=1, build_seconds=60.0))[0]


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("key", LANGUAGES)
def test_whole_functions_pass_and_wrong_ones_do_not(data: Path, key: str) -> None:
    problems = [problem(data, key, number) for number in NUMBERS]
    tasks = [Attempt(one, forwarding.body(one, f"{one.prompt}{one.solution}")) for one in problems]
    one, other = problems[0], replace(problems[0], solution=problems[0].solution.replace("<", ">"))
    tasks.append(Attempt(one, forwarding.body(one, f"{one.prompt}{other.solution}")))
    passed = [verdict.passed for verdict in execute(tasks, Execution(build_seconds=60.0))]
    assert passed == [True] * len(problems) + [False]


# Parameter names, a helper, an include or import of its own, and an example of how to call it.
OWN_WAYS = {
    "python": """
import itertools
def close(pair, limit): return abs(pair[0] - pair[1]) < limit
def has_close_elements(nums, limit):
    '''Any two.'''
    return any(close(pair, limit) for pair in itertools.combinations(nums, 2))
print(has_close_elements([1], 2))
assert has_close_elements([], 1), "wrong on purpose"
""",
    "cpp": """
#include <iostream>
#include <set>
using namespace std;
static bool near(float a, float b, float limit) { return abs(a - b) < limit; }
bool has_close_elements(vector<float> all, float limit) {
    multiset<float> sorted(all.begin(), all.end());
    float last = 0; bool any = false;
    for (float one : sorted) {
        if (any && near(one, last, limit)) return true;
        last = one; any = true;
    }
    return false;
}
int main() { cout << has_close_elements({1}, 2) << "}"; return 0; }
""",
    "java": """
import java.util.*;
// class Solution {
public class Solution {
    private static boolean near(double a, double b, double most) { return Math.abs(a - b) < most; }
    public static boolean hasCloseElements(List<Double> all, double limit) {
        for (int i = 0; i < all.size(); i++)
            for (int j = 0; j < i; j++)
                if (near(all.get(i), all.get(j), limit)) { return true; }
        return false;
    }
    public static void main(String[] arguments) { System.out.println("}"); }
}
""",
    "js": """
function near(a, b, limit) { return Math.abs(a - b) < limit; }
function hasCloseElements(all, limit) {
  return all.some((one, i) => all.some((other, j) => i !== j && near(one, other, limit)));
}
console.log(hasCloseElements([1], 2));
console.assert(hasCloseElements([], 1), "wrong on purpose");
""",
    "go": """
package main
import (
    "fmt"
    "math"
)
func near(a, b, limit float64) bool { return math.Abs(a - b) < limit } // }
func HasCloseElements(all []float64, limit float64) bool {
    for i := range all {
        for j := 0; j < i; j++ {
            if near(all[i], all[j], limit) { return true }
        }
    }
    return false
}
func main() { fmt.Println(HasCloseElements(nil, 1), '{') }
""",
}


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("key", LANGUAGES)
def test_an_answer_has_names_and_helpers_of_its_own(data: Path, key: str) -> None:
    one = problem(data, key, 0)
    verdict = judged(one, OWN_WAYS[key])
    assert verdict.passed, verdict


@pytest.mark.usefixtures("isolation")
def test_an_answer_may_go_on_where_the_prompt_ends(data: Path) -> None:
    one = problem(data, "js", 0)
    assert judged(one, one.solution).passed
    one = problem(data, "python", 2)
    assert judged(one, one.solution).passed
    assert judged(one, "whole = int(number)\nreturn number - whole").passed


@pytest.mark.usefixtures("isolation")
def test_code_that_was_cut_keeps_what_is_whole(data: Path) -> None:
    one = problem(data, "python", 0)
    assert judged(one, f"{OWN_WAYS['python']}\ndef more(a):\n    return (a + ").passed
    assert not judged(one, "def has_close_elements(a, b):\n    return (a + ").passed
