"""Programs of MTPB: one interpreter each, with mtpb_case.py watching what it prints last.

The watcher compares, in the sandbox: what a program printed is an object there and never comes out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_runtime.evaluation.programs import FIRST_ARRIVAL, Program
from model_runtime.evaluation.runners.python import PYTHON_ENVIRONMENT, interpreter, python_folders
from model_runtime.evaluation.runners.runner import Runner, judge, program_folder
from model_runtime.evaluation.supervision import MIB, Limits
from model_runtime.evaluation.verdicts import Outcome, Verdict

WATCHER = Path(__file__).parent / "mtpb_case.py"
# What the watcher exits with: equal by the published comparison, equal only by ours, not equal.
EQUAL, EQUAL_BY_OURS, UNEQUAL = FIRST_ARRIVAL, FIRST_ARRIVAL + 1, FIRST_ARRIVAL + 2
BY_OURS = "the published comparison has no such type"
# pandas and scikit-learn reserve more than plain programs.
MEMORY = 2048 * MIB


def case_program(text: str, gold: Any) -> Program:
    return Program(json.dumps({"program": text, "gold": gold}), EQUAL)


class MtpbRunner(Runner):
    batch = 16

    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        for number, program in enumerate(programs):
            folder = program_folder(self._place, number, "case.json", program.text)
            (folder / WATCHER.name).write_text(WATCHER.read_text(encoding="utf-8"))
        return [None] * len(programs)

    def run(self, number: int, program: Program) -> Verdict:
        codes = [str(code) for code in (EQUAL, EQUAL_BY_OURS, UNEQUAL)]
        done = self._place.sandbox.run(
            [str(interpreter()), "-s", "-B", WATCHER.name, *codes],
            Limits(self._place.seconds, MEMORY),
            self._place.folder / f"p{number}",
            readable=python_folders(),
            environment=PYTHON_ENVIRONMENT,
        )
        if done.code == EQUAL_BY_OURS and not done.stopped:
            return Verdict(Outcome.PASSED, BY_OURS)
        if done.code == UNEQUAL and not done.stopped:
            return Verdict(Outcome.WRONG)
        return judge(done, program)
