"""Java programs: one JVM compiles a batch of them, each then runs in a JVM of its own.

Starting javac costs 1.2 CPU seconds a program, compiling 0.07. A compiler without annotation
processors runs nothing of what it compiles, so that a batch may share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from model_runtime.evaluation.programs import Program
from model_runtime.evaluation.runners.runner import Runner, Workplace, judge, program_folder
from model_runtime.evaluation.sandbox import TMP
from model_runtime.evaluation.supervision import MIB, Limits
from model_runtime.evaluation.verdicts import Outcome, Verdict

JVM = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
JVM += ["-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError"]
COMPILER = "Compile.java"
MEMORY = 1024 * MIB
THREADS = 64
DIED = Verdict(Outcome.COMPILE, "the compiler died of it")


class JavaRunner(Runner):
    batch = 41

    def __init__(self, place: Workplace) -> None:
        super().__init__(place)
        source = resources.files(__package__).joinpath(COMPILER).read_text(encoding="utf-8")
        (place.folder / COMPILER).write_text(source, encoding="utf-8")

    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        for number, program in enumerate(programs):
            folder = program_folder(self._place, number, "Main.java", program.text)
            (folder / "classes").mkdir()
            self._place.sandbox.own(folder / "classes")
        names = [f"p{number}" for number in range(len(programs))]
        verdicts = self._compile(names)
        for name in names:
            if name not in verdicts:  # one killed the compiler, and not necessarily this one
                verdicts |= self._compile([name])
        return [verdicts.get(name, DIED) for name in names]

    def _compile(self, names: list[str]) -> dict[str, Verdict | None]:
        seconds = self._place.build_seconds + 2 * len(names)
        limits = Limits(seconds, MEMORY, THREADS, address_space=False)
        done = self._place.sandbox.run(
            [*JVM, "-Xmx512m", COMPILER, *names],
            limits,
            self._place.folder,
            writable=True,
            readable=settings(),
        )
        verdicts: dict[str, Verdict | None] = {}
        for line in done.output.splitlines():
            word, _, rest = line.partition(" ")
            name, _, error = rest.partition(" ")
            if word == "compiled":
                verdicts[name] = None
            elif word == "failed":
                verdicts[name] = Verdict(Outcome.COMPILE, error)
        return verdicts

    def run(self, number: int, program: Program) -> Verdict:
        done = self._place.sandbox.run(
            [*JVM, "-Xmx256m", f"-Djava.io.tmpdir={TMP}", "-cp", "classes", "Main"],
            Limits(self._place.seconds, MEMORY, THREADS, address_space=False),
            self._place.folder / f"p{number}",
            readable=settings(),
        )
        return judge(done, program)


def settings() -> list[Path]:
    """Where Debian's JDK has its settings: /usr/lib/jvm links there."""
    return sorted(Path("/etc").glob("java-*"))
