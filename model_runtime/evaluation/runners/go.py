"""Go programs: one `go test` builds a batch of test binaries, each then runs by itself.

`go test -exec` hands each finished binary to a program; ours keeps it instead of running it. Vet is
off: it fails right programs for their style; by the reference's rules it is on. testify comes from
Debian's package, which needs GOPATH mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.programs import Program
from model_runtime.evaluation.runners.runner import (
    Runner,
    Workplace,
    first_error,
    judge,
    program_folder,
)
from model_runtime.evaluation.sandbox import INSIDE
from model_runtime.evaluation.supervision import MIB, Limits
from model_runtime.evaluation.verdicts import Outcome, Verdict

GOPATH = Path("/usr/share/gocode")
TESTIFY = GOPATH / "src/github.com/stretchr/testify"
KEEP = "keep"
KEEP_SCRIPT = '#!/bin/sh\ncp "$1" kept.test\n'
BINARY = "kept.test"
MEMORY = 1024 * MIB
BUILD_MEMORY = 3072 * MIB
THREADS = 64
ENVIRONMENT = {
    "GO111MODULE": "off",
    "GOPATH": str(GOPATH),
    "GOCACHE": f"{INSIDE}/cache",
    "GOFLAGS": "",
    "GOMAXPROCS": "1",
}


class GoRunner(Runner):
    batch = 41

    def __init__(self, place: Workplace) -> None:
        if not TESTIFY.is_dir():
            raise EvaluationError(
                "Go's tests need testify, which isn't installed; "
                "run: apt-get install golang-github-stretchr-testify-dev"
            )
        super().__init__(place)
        keep = place.folder / KEEP
        keep.write_text(KEEP_SCRIPT)
        keep.chmod(0o755)

    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        names = [f"p{number}" for number in range(len(programs))]
        for number, program in enumerate(programs):
            program_folder(self._place, number, "main_test.go", program.text)
        errors = self._compile(names)
        return [self._verdict(name, errors) for name in names]

    def _compile(self, names: list[str]) -> dict[str, str]:
        """Build them; what the compiler said about each."""
        seconds = self._place.build_seconds + 3 * len(names)
        limits = Limits(
            seconds,
            BUILD_MEMORY,
            THREADS,
            file_size=256 * MIB,
            disk=512 * MIB,
            address_space=False,
        )
        vet = [] if self._place.rules.reference else ["-vet=off"]
        command = ["go", "test", "-p", "1", "-ldflags=-s -w", *vet, "-exec", f"{INSIDE}/{KEEP}"]
        done = self._place.sandbox.run(
            [*command, *(f"./{name}" for name in names)],
            limits,
            self._place.folder,
            writable=True,
            environment=ENVIRONMENT,
        )
        return _by_package(done.output)

    def _verdict(self, name: str, errors: dict[str, str]) -> Verdict | None:
        if (self._place.folder / name / BINARY).exists():
            return None
        return Verdict(Outcome.COMPILE, first_error(errors.get(name, "nothing was built")))

    def run(self, number: int, program: Program) -> Verdict:
        done = self._place.sandbox.run(
            [f"./{BINARY}"],
            Limits(self._place.seconds, MEMORY, THREADS, address_space=False),
            self._place.folder / f"p{number}",
        )
        return judge(done, program)


def _by_package(output: str) -> dict[str, str]:
    """The compiler's words by folder; it heads them "# _/program/p3"."""
    errors: dict[str, str] = {}
    name = ""
    for line in output.splitlines():
        if line.startswith("# "):
            name = line.split()[1].rpartition("/")[2]
        else:
            errors[name] = errors.get(name, "") + line + "\n"
    return errors
