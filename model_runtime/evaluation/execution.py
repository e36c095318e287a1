"""Executes many programs at once: the same program only once, each in its own sandbox.

Knows problems and runners, not where bodies come from. The verdicts depend neither on the number
of workers nor on the order.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from model_runtime.evaluation.languages import require_tools
from model_runtime.evaluation.problems import Problem
from model_runtime.evaluation.programs import ARRIVALS, FIRST_ARRIVAL, Program, Rules, assemble
from model_runtime.evaluation.runners import RUNNERS
from model_runtime.evaluation.runners.runner import Runner, Workplace
from model_runtime.evaluation.sandbox import Sandbox, require_isolation
from model_runtime.evaluation.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Attempt:
    """A body to be judged against a problem."""

    problem: Problem
    body: str


@dataclass(frozen=True, slots=True)
class Execution:
    """How to execute. `seconds` are a program's own, `build_seconds` its compiler's."""

    workers: int = 2
    rules: Rules = field(default_factory=Rules)
    unsafe: bool = False
    seconds: float = 10.0
    build_seconds: float = 30.0


def execute(
    tasks: Sequence[Attempt], execution: Execution, finished: Callable[[int], None] = lambda _: None
) -> list[Verdict]:
    """A verdict a task, in their order; `finished` is told how many more tasks are done.

    Raises EvaluationError where isolation or a compiler is missing.
    """
    for language in {task.problem.language.key: task.problem.language for task in tasks}.values():
        require_tools(language)
    keys = [(task.problem.language.key, _program(task, execution.rules)) for task in tasks]
    wanted = Counter(keys)
    verdicts: dict[tuple[str, Program], Verdict] = {}
    for name in dict.fromkeys(key for key, _ in keys):
        programs = [program for key, program in wanted if key == name]
        for program, verdict in judge(RUNNERS[name], programs, execution):
            verdicts[name, program] = verdict
            finished(wanted[name, program])
    return [verdicts[key] for key in keys]


def _program(task: Attempt, rules: Rules) -> Program:
    """The arrival code follows from the texts, so that equal bodies are the same program."""
    text = f"{task.problem.task_id}\n{task.body}"
    digest = hashlib.sha256(text.encode(errors="replace")).digest()
    return assemble(task.problem, task.body, rules, FIRST_ARRIVAL + digest[0] % ARRIVALS)


def judge(
    runner_class: type[Runner], programs: Sequence[Program], execution: Execution
) -> Iterator[tuple[Program, Verdict]]:
    """Each of the distinct programs with its verdict, as they come, from `workers` threads.

    Raises EvaluationError where isolation is missing.
    """
    if not execution.unsafe:
        require_isolation()
    folder = Path(tempfile.mkdtemp(prefix="codegeex-eval-"))
    folder.chmod(0o711)  # each place's user must reach its own folder
    batches = deque(_batches(programs, runner_class.batch, execution.workers))
    done: SimpleQueue[tuple[Program, Verdict] | BaseException] = SimpleQueue()

    def work(slot: int) -> None:
        try:
            runner = runner_class(_place(folder, slot, execution))
            for batch in _taken(batches):
                for verdict in _judge_batch(runner, batch):
                    done.put(verdict)
        except BaseException as error:
            done.put(error)

    try:
        with ThreadPoolExecutor(execution.workers) as pool:
            for slot in range(execution.workers):
                pool.submit(work, slot)
            try:
                for _ in programs:
                    judged = done.get()
                    if isinstance(judged, BaseException):
                        raise judged
                    yield judged
            finally:
                batches.clear()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _batches(programs: Sequence[Program], size: int, workers: int) -> list[Sequence[Program]]:
    """At most `size` in each, and as many batches as there are workers."""
    size = max(1, min(size, -(-len(programs) // workers)))
    return [programs[start : start + size] for start in range(0, len(programs), size)]


def _taken(batches: deque[Sequence[Program]]) -> Iterator[Sequence[Program]]:
    """The batches that no other thread takes."""
    while True:
        try:
            batch = batches.popleft()
        except IndexError:
            return
        yield batch


def _judge_batch(runner: Runner, batch: Sequence[Program]) -> Iterator[tuple[Program, Verdict]]:
    failures = runner.build(batch)
    for number, (program, failure) in enumerate(zip(batch, failures, strict=True)):
        yield program, failure or runner.run(number, program)
    runner.clear()


def _place(folder: Path, slot: int, execution: Execution) -> Workplace:
    own = folder / str(slot)
    own.mkdir(mode=0o755)
    sandbox = Sandbox(slot, bare=execution.unsafe)
    sandbox.own(own)
    return Workplace(sandbox, own, execution.rules, execution.seconds, execution.build_seconds)
