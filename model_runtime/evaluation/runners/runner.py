"""What the runners have in common: a place to work in, and reading how a run ended."""

from __future__ import annotations

import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_runtime.evaluation.programs import Program, Rules
from model_runtime.evaluation.sandbox import Sandbox
from model_runtime.evaluation.supervision import Run
from model_runtime.evaluation.verdicts import Outcome, Verdict, last_line

# What each language says when it got no memory.
NO_MEMORY = re.compile(
    r"MemoryError|std::bad_alloc|OutOfMemoryError|heap out of memory|runtime: out of memory"
    r"|cannot allocate memory",
    re.IGNORECASE,
)
# A failed check: Python and Java, C's assert, node's, testify's.
FAILED_CHECK = re.compile(r"AssertionError|: Assertion `|ERR_ASSERTION|Error Trace:")
# 128 + SIGKILL and 128 + SIGXCPU.
CPU_LIMIT_CODES = (137, 152)


@dataclass(frozen=True, slots=True)
class Workplace:
    """One of the places where programs run at the same time; `folder` belongs to it alone."""

    sandbox: Sandbox
    folder: Path
    rules: Rules
    seconds: float = 10.0
    build_seconds: float = 30.0


class Runner(ABC):
    """Builds programs `batch` at a time, then runs each by itself."""

    batch = 1

    def __init__(self, place: Workplace) -> None:
        self._place = place

    @abstractmethod
    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        """Make the programs 0, 1, ... ready to run; a verdict where that fails."""

    @abstractmethod
    def run(self, number: int, program: Program) -> Verdict:
        """Run the one that was built as `number`."""

    def clear(self) -> None:
        """Remove what build() made."""
        for folder in self._place.folder.glob("p*"):
            shutil.rmtree(folder)


def program_folder(place: Workplace, number: int, name: str, text: str) -> Path:
    """A fresh folder with the program's source in it, as the sandbox's user may write to it."""
    folder = place.folder / f"p{number}"
    folder.mkdir()
    (folder / name).write_text(text, encoding="utf-8", errors="replace")
    place.sandbox.own(folder)
    return folder


def judge(run: Run, program: Program) -> Verdict:
    """The verdict by exit code and, for the kind of failure, by the words of the languages."""
    detail = last_line(run.output)
    if run.stopped:
        kinds = {"time": Outcome.TIMEOUT, "memory": Outcome.MEMORY, "output": Outcome.OUTPUT}
        return Verdict(kinds[run.stopped])
    if run.code == program.arrival:
        return Verdict(Outcome.PASSED)
    if NO_MEMORY.search(run.output):
        return Verdict(Outcome.MEMORY, detail)
    if FAILED_CHECK.search(run.output):
        return Verdict(Outcome.WRONG, detail)
    if run.code == 0:
        return Verdict(Outcome.EARLY_EXIT, detail)
    if run.code in CPU_LIMIT_CODES:
        return Verdict(Outcome.TIMEOUT, detail)
    return Verdict(Outcome.ERROR, detail)


def judge_build(run: Run) -> Verdict | None:
    if run.stopped == "time":
        return Verdict(Outcome.COMPILE, "the compiler ran out of time")
    if run.stopped or run.code:
        return Verdict(Outcome.COMPILE, first_error(run.output))
    return None


def first_error(output: str) -> str:
    lines = output.splitlines()
    return last_line(next((line for line in lines if "error" in line.lower()), output))
