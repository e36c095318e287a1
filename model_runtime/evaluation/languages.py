"""The languages of HumanEval-X and what each needs on the machine.

Knows names and Debian packages, no program texts.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.sandbox import PATH


@dataclass(frozen=True, slots=True)
class Language:
    """`key` is the name of the data's folder, `prefix` begins its task ids.

    `display` is the name in tag lines and translation prompts; `tools` are (program, Debian
    package) pairs.
    """

    key: str
    prefix: str
    display: str
    tools: tuple[tuple[str, str], ...]


PYTHON = Language("python", "Python", "Python", ())
CPP = Language("cpp", "CPP", "C++", (("g++", "g++ libboost-dev libssl-dev"),))
JAVA = Language(
    "java",
    "Java",
    "Java",
    (("javac", "default-jdk-headless"), ("java", "default-jdk-headless")),
)
JAVASCRIPT = Language("js", "JavaScript", "JavaScript", (("node", "nodejs"),))
GO = Language("go", "Go", "Go", (("go", "golang-go golang-github-stretchr-testify-dev"),))

LANGUAGES = {language.key: language for language in (PYTHON, CPP, JAVA, JAVASCRIPT, GO)}
BY_PREFIX = {language.prefix: language for language in LANGUAGES.values()}
# What people call them besides the key and the prefix.
ALIASES = {"c++": "cpp", "javascript": "js", "golang": "go"}


def find(name: str) -> Language:
    """The language of that name, key or prefix. Raises EvaluationError."""
    key = name.strip().lower()
    language = LANGUAGES.get(ALIASES.get(key, key))
    if language is None:
        known = ", ".join(LANGUAGES)
        raise EvaluationError(f"There are no problems in {name!r}; use some of {known}.")
    return language


def require_tools(language: Language) -> None:
    """Raises EvaluationError with the package to install when a compiler is missing."""
    for program, package in language.tools:
        if shutil.which(program, path=PATH) is None:
            raise EvaluationError(
                f"{language.display} programs need {program}, which isn't installed; "
                f"run: apt-get install {package}"
            )
