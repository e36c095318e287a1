"""How the run of one program ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """PASSED, or the kind of failure; WRONG is a failed check, ERROR anything else it died of."""

    PASSED = "passed"
    WRONG = "wrong answer"
    ERROR = "runtime error"
    COMPILE = "does not compile"
    TIMEOUT = "out of time"
    MEMORY = "out of memory"
    OUTPUT = "too much output"
    EARLY_EXIT = "ended before its tests"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`detail` is the last line that the program or the compiler said, shortened."""

    outcome: Outcome
    detail: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


DETAIL_CHARS = 200


def last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:DETAIL_CHARS] if lines else ""
