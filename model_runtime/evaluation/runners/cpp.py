"""C++ programs: g++ with a precompiled header of the nine includes that every program has.

The header takes the compiler's time from 0.37 to 0.15 CPU seconds a program, gold takes the
linker's to a half. A compiler runs no code of the program, yet it runs in the sandbox too.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.programs import CPP_INCLUDES, Program
from model_runtime.evaluation.runners.runner import (
    Runner,
    Workplace,
    judge,
    judge_build,
    program_folder,
)
from model_runtime.evaluation.supervision import MIB, Limits, Run
from model_runtime.evaluation.verdicts import Verdict, last_line

COMPILE = ["g++", "-std=c++11", "-w", "-pipe"]
HEADER = "all.h"
OPENSSL = "openssl/"
BUILD_MEMORY = 2048 * MIB


class CppRunner(Runner):
    batch = 1

    def __init__(self, place: Workplace) -> None:
        super().__init__(place)
        self._limits = Limits(place.build_seconds, BUILD_MEMORY, file_size=256 * MIB)
        self._linker = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
        header = place.folder / HEADER
        header.write_text("".join(f"#include <{name}>\n" for name in CPP_INCLUDES))
        done = self._compile("-x", "c++-header", HEADER)
        if done.code:
            raise EvaluationError(
                f"g++ can't compile the standard headers ({last_line(done.output)}); "
                "run: apt-get install g++"
            )

    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        return [self._build(number, program) for number, program in enumerate(programs)]

    def _build(self, number: int, program: Program) -> Verdict | None:
        folder = program_folder(self._place, number, "test.cpp", program.text)
        libraries = ["-lcrypto"] if OPENSSL in program.text else []
        source, target = f"{folder.name}/test.cpp", f"{folder.name}/a.out"
        done = self._compile(*self._linker, "-include", HEADER, source, "-o", target, *libraries)
        return judge_build(done)

    def _compile(self, *arguments: str) -> Run:
        return self._place.sandbox.run(
            [*COMPILE, *arguments], self._limits, self._place.folder, writable=True
        )

    def run(self, number: int, program: Program) -> Verdict:
        folder = self._place.folder / f"p{number}"
        limits = Limits(seconds=self._place.seconds)
        return judge(self._place.sandbox.run(["./a.out"], limits, folder), program)
