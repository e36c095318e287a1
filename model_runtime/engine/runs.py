"""What one thread has taken from the scheduler and not answered yet, and the answers.

Whatever is raised, be it no Exception like a panic in Rust, each job gets its one answer. A failure
stays in its request and the thread goes on; it is doubted until it has proved itself, and gives up
when turn after turn fails. It knows neither texts nor networks. engine.py and embedding.py have one
each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from model_runtime import logs
from model_runtime.device.memory import out_of_memory
from model_runtime.engine.counters import Spent, Work
from model_runtime.engine.scheduler import Job, Scheduler, failure
from model_runtime.errors import GivenUpError, RuntimeFailure, UnservedTaskError
from model_runtime.wire.protocol import Embedding, Failure, Reason, Reply, Result

MOST_FAILED_IN_A_ROW = 3

_MESSAGES = {
    Reason.OUT_OF_MEMORY: "The model ran out of memory; a shorter text or a smaller model needs "
    "less.",
    Reason.ENGINE_ERROR: "The engine failed with {kind}; the runtime's log says where.",
}


class Run(Protocol):
    """A job at work; `spent` is what it has cost up to now."""

    job: Job
    spent: Spent

    @property
    def finished(self) -> bool: ...

    def give_way(self) -> None:
        """Return what others need; when its turn comes again it goes on."""

    def answer(self, *, late: bool = False) -> Result | Embedding | Failure:
        """When it is finished; a `late` one has no time left to be."""


Kind = TypeVar("Kind", bound=Run)


class Runs(Generic[Kind]):
    """`emit` gets every reply and must not block. `failed_turns` is how many failed as a whole.

    `doubted` is set after a failure that need not be the request's own, `memory_ran_out` after one
    for lack of memory; the thread looks at both before its next turn.
    """

    def __init__(
        self, scheduler: Scheduler, emit: Callable[[Job, Reply], None], work: Work
    ) -> None:
        self.running: list[Kind] = []
        self.doubted = False
        self.memory_ran_out = False
        self.failed_turns = 0
        self._failed_in_a_row = 0
        self._scheduler = scheduler
        self._emit = emit
        self._work = work

    # --- turns ----------------------------------------------------------------------------------

    def serve(self, turn: Callable[[], bool]) -> None:
        """Take turns until one says that it was the last. Raises GivenUpError."""
        going = True
        while going:
            try:
                going = turn()
            except BaseException as error:
                logs.failure("a turn failed", error)
                self.fail(error)
                self._count_failed(error)
            else:
                self._failed_in_a_row = 0

    def _count_failed(self, error: BaseException) -> None:
        self.failed_turns += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= MOST_FAILED_IN_A_ROW:
            raise GivenUpError(
                f"The engine failed {self._failed_in_a_row} times in a row, at last with "
                f"{type(error).__name__}; it starts anew, and its log says where."
            ) from error

    def in_turn(self) -> list[Kind]:
        """Those whose turn it is: where somebody waits for one, the others give way."""
        urgent = [run for run in self.running if run.job.urgent]
        for run in self.running if urgent else ():
            if not run.job.urgent:
                run.give_way()
        return urgent or list(self.running)

    # --- answers --------------------------------------------------------------------------------

    def begin(self, job: Job, make: Callable[[], Kind]) -> None:
        """Make a run of the job; where that fails, the job is answered."""
        with self.at_the_cost_of(job):
            self.running.append(make())

    def part(self) -> None:
        """Answer those that are finished, cancelled or late."""
        for run in list(self.running):
            with self.at_the_cost_of(run.job):
                if run.job.cancelled is not None:
                    elapsed = self._scheduler.clock() - run.job.cancelled_at
                    self._work.freed(run.spent, elapsed * 1000)
                    self._answer(run.job, failure(run.job, run.job.cancelled))
                elif run.finished:
                    self._answer(run.job, run.answer())
                elif run.job.expired(self._scheduler.clock()):
                    self._answer(run.job, run.answer(late=True))

    @contextmanager
    def at_the_cost_of(self, *jobs: Job) -> Iterator[None]:
        """When the work inside fails, so do these jobs, and the thread goes on."""
        try:
            yield
        except RuntimeFailure as refused:
            unserved = isinstance(refused, UnservedTaskError)
            reason = Reason.UNSUPPORTED_TASK if unserved else Reason.BAD_REQUEST
            for job in jobs:
                self._answer(job, Failure(job.request.id, reason, str(refused)))
        except BaseException as error:
            logs.failure("a request failed", error)
            # One request less may be enough; the others run on in a smaller cache.
            short = out_of_memory(error)
            self._fail([max(jobs, key=lambda job: job.arrived)] if short else jobs, error)

    def fail(self, error: BaseException) -> None:
        """Whatever runs fails with it."""
        self._fail([run.job for run in self.running], error)

    def _fail(self, jobs: Sequence[Job], error: BaseException) -> None:
        reason = Reason.ENGINE_ERROR
        if out_of_memory(error):
            reason = Reason.OUT_OF_MEMORY
            self.memory_ran_out = True
        else:
            self.doubted = True
        message = _MESSAGES[reason].format(kind=type(error).__name__)
        for job in jobs:
            self._answer(job, Failure(job.request.id, reason, message))

    def _answer(self, job: Job, reply: Result | Embedding | Failure) -> None:
        """The one there is: finish() refuses a job that has had its answer."""
        self._scheduler.finish(job)
        ended = [run for run in self.running if run.job is job]
        for run in ended:
            self.running.remove(run)
            self._work.add(run.spent)
        self._emit(job, reply)
        for run in ended:
            run.give_way()
