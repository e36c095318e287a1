"""From a body to a whole program, in each language as the reference puts it together.

Pure text. By our own rules a program ends with a proof that it arrived there: an exit code that
it can't know beforehand. So `exit(0)` before the tests is no pass, which it is by the reference's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from model_runtime.evaluation.languages import CPP, GO, JAVA, JAVASCRIPT, PYTHON
from model_runtime.evaluation.problems import Problem


@dataclass(frozen=True, slots=True)
class Rules:
    """`reference` repeats the published evaluator, its faults included."""

    reference: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A program's text, and the exit code with which it says that all its tests were run."""

    text: str
    arrival: int = 0


# From this up to 127 no shell, signal or language gives an exit code by itself.
FIRST_ARRIVAL = 80
ARRIVALS = 40


def assemble(problem: Problem, body: str, rules: Rules, arrival: int) -> Program:
    """`arrival` is the exit code that means passed, not used by Go and by the reference's rules."""
    text = ASSEMBLERS[problem.language.key](problem, body)
    if rules.reference or problem.language is GO:
        return Program(text)
    return Program(ENDINGS[problem.language.key](text, arrival), arrival)


# --- Python ---------------------------------------------------------------------------------------

PYTHON_IMPORTS = (
    "import math",
    "import re",
    "import sys",
    "import copy",
    "import datetime",
    "import itertools",
    "import collections",
    "import heapq",
    "import statistics",
    "import functools",
    "import hashlib",
    "import numpy",
    "import numpy as np",
    "import string",
    "from typing import *",
    "from collections import *",
)
# Half of the time of a run of Python goes into importing it, and few programs name it.
NUMPY_NAMES = re.compile(r"\b(numpy|np)\b")


def _python(problem: Problem, body: str) -> str:
    rest = problem.prompt + indented(body) + "\n" + problem.test + "\n"
    needs_numpy = NUMPY_NAMES.search(rest)
    imports = [line for line in PYTHON_IMPORTS if needs_numpy or "numpy" not in line]
    return "\n".join(imports) + "\n" + rest


def indented(body: str) -> str:
    """The body up to its first line that begins in column 0."""
    lines = body.split("\n")
    for number, line in enumerate(lines):
        if line.strip() and not line[0].isspace():
            return "\n".join(lines[:number])
    return body


# --- C++ ------------------------------------------------------------------------------------------

CPP_INCLUDES = (
    "stdlib.h",
    "algorithm",
    "math.h",
    "stdio.h",
    "vector",
    "string",
    "climits",
    "cstring",
    "iostream",
)
CPP_DECLARED_INCLUDE = re.compile(r"#include\s*<[^>]+>")


def _cpp(problem: Problem, body: str) -> str:
    lines = [f"#include<{name}>" for name in CPP_INCLUDES]
    head = [line for line in lines if line not in problem.prompt]
    return "\n".join(head) + "\n\n" + problem.prompt + body + "\n" + problem.test


def declared_includes(problem: Problem) -> str:
    """What only the declaration includes: a translation was written with it in sight."""
    found = CPP_DECLARED_INCLUDE.findall(problem.declaration)
    return "".join(f"{line}\n" for line in dict.fromkeys(found) if line not in problem.prompt)


# --- Java and JavaScript --------------------------------------------------------------------------


def _plain(problem: Problem, body: str) -> str:
    return problem.prompt + body + "\n" + problem.test


# --- Go -------------------------------------------------------------------------------------------

GO_PACKAGES = (
    "math",
    "strings",
    "fmt",
    "strconv",
    "time",
    "bytes",
    "regexp",
    "sort",
    "math/rand",
    "crypto/md5",
)


def _go(problem: Problem, body: str) -> str:
    needed = [
        path
        for path in GO_PACKAGES
        if path not in problem.test_setup and f"{path.rpartition('/')[2]}." in body
    ]
    block = "".join(f'    "{path}"\n' for path in needed)
    imports = f"import (\n{block})\n" if needed else ""
    prompt = problem.prompt.replace(problem.imports, "") if problem.imports else problem.prompt
    return f"{problem.test_setup}\n{imports}{prompt}{body}\n{problem.test}"


ASSEMBLERS: dict[str, Callable[[Problem, str], str]] = {
    PYTHON.key: _python,
    CPP.key: _cpp,
    JAVA.key: _plain,
    JAVASCRIPT.key: _plain,
    GO.key: _go,
}


# --- the proof of arrival -------------------------------------------------------------------------


def _before_closers(text: str, count: int, statement: str) -> str:
    """The text with a statement before its last `count` closing braces."""
    place = len(text)
    for _ in range(count):
        place = text.rindex("}", 0, place)
    return f"{text[:place]}{statement}\n{text[place:]}"


ENDINGS: dict[str, Callable[[str, int], str]] = {
    PYTHON.key: lambda text, code: f"{text}raise SystemExit({code})\n",
    CPP.key: lambda text, code: _before_closers(text, 1, f"return {code};"),
    JAVA.key: lambda text, code: _before_closers(text, 2, f"System.exit({code});"),
    JAVASCRIPT.key: lambda text, code: f"{text}\n;process.exitCode = {code}\n",
}
