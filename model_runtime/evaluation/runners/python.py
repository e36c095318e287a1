"""Python programs: one interpreter each, with nothing to build."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from model_runtime.evaluation.programs import Program
from model_runtime.evaluation.runners.runner import Runner, judge, program_folder
from model_runtime.evaluation.supervision import Limits
from model_runtime.evaluation.verdicts import Verdict


class PythonRunner(Runner):
    """Our own interpreter, and the folder of its packages for numpy."""

    batch = 16

    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        for number, program in enumerate(programs):
            program_folder(self._place, number, "main.py", program.text)
        return [None] * len(programs)

    def run(self, number: int, program: Program) -> Verdict:
        done = self._place.sandbox.run(
            [str(interpreter()), "-s", "-B", "main.py"],
            Limits(seconds=self._place.seconds),
            self._place.folder / f"p{number}",
            readable=python_folders(),
            environment=PYTHON_ENVIRONMENT,
        )
        return judge(done, program)


PYTHON_ENVIRONMENT = {
    "PYTHONPATH": sysconfig.get_path("purelib"),
    "PYTHONHASHSEED": "0",
    # Each thread of numpy's library reserves memory of its own.
    "OPENBLAS_NUM_THREADS": "1",
}


def interpreter() -> Path:
    return Path(sys.executable).resolve()


def python_folders() -> list[Path]:
    """What the interpreter needs that isn't below /usr."""
    folders = [Path(sys.base_prefix).resolve(), Path(sysconfig.get_path("purelib"))]
    return [folder for folder in folders if not folder.is_relative_to("/usr")]
