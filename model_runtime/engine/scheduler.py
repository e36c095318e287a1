"""Which request runs next: priorities, deadlines, newest-wins, a bounded queue, cancellation.

Knows no tensor, no socket and no text. The connections submit and cancel from the event loop; the
engine's one thread takes. A job the engine never took is answered from here, a taken one by the
engine, so every job is answered exactly once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from model_runtime.wire.protocol import Embed, Failure, Generate, Priority, Reason

QUEUE_CAPACITY = 32


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way. `arrived` and `deadline` are seconds of the scheduler's clock.

    Once `cancelled` is set the engine stops before its next step; it is written once and read
    without a lock.
    """

    client: int
    request: Generate | Embed
    arrived: float
    deadline: float | None
    cancelled: Reason | None = None
    cancelled_at: float = 0.0

    @property
    def urgent(self) -> bool:
        return self.request.priority <= Priority.INTERACTIVE

    def expired(self, now: float) -> bool:
        return self.deadline is not None and now >= self.deadline

    def replaces(self, older: Job) -> bool:
        """Newest wins among the interactive requests of one client and kind for one document."""
        return (
            type(self.request) is type(older.request)
            and self.client == older.client
            and self.request.document == older.request.document != ""
            and self.request.priority == older.request.priority == Priority.INTERACTIVE
        )


_MESSAGES = {
    Reason.BUSY: "The runtime has too many requests waiting; try again in a moment.",
    Reason.DEADLINE: "The deadline passed before there was an answer.",
    Reason.SUPERSEDED: "A newer request for the same document took its place.",
    Reason.CANCELLED: "The request was cancelled.",
    Reason.NOTHING_GENERATED: "The model had nothing to add here.",
}


def failure(job: Job, reason: Reason) -> Failure:
    return Failure(job.request.id, reason, _MESSAGES[reason])


class Scheduler:
    """`answer` is called once for each job that ends here, from whichever thread ended it."""

    def __init__(
        self,
        answer: Callable[[Job, Failure], None],
        *,
        capacity: int = QUEUE_CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._answer = answer
        self._capacity = capacity
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, client: int, request: Generate | Embed) -> None:
        """Queue a request, or answer it at once: busy when the queue is full."""
        now = self.clock()
        deadline = now + request.deadline_ms / 1000 if request.deadline_ms else None
        job = Job(client, request, now, deadline)
        with self._changed:
            dropped = self._drop_expired(now) + self._cancel(job.replaces, Reason.SUPERSEDED)
            if self._closed:
                dropped.append((job, Reason.CANCELLED))
            elif len(self._waiting) >= self._capacity:
                dropped.append((job, Reason.BUSY))
            else:
                self._waiting.append(job)
                self._changed.notify()
        self._answer_all(dropped)

    def take(self, *, beside: bool = False) -> Job | None:
        """The next job. Blocks until there is one; None once the scheduler is closed.

        `beside` others that run it never blocks and gives urgent jobs only.
        """
        while True:
            with self._changed:
                dropped = self._drop_expired(self.clock())
                job = self._next(urgent=beside)
                if job is not None:
                    self._waiting.remove(job)
                    self._running.append(job)
                elif not beside and not dropped and not self._closed:
                    self._changed.wait()
                    continue
                ended = job is not None or beside or self._closed
            self._answer_all(dropped)
            if ended:
                return job

    def finish(self, job: Job) -> None:
        """The engine is done with a job it took and has answered it."""
        with self._changed:
            self._running.remove(job)

    def cancel(self, client: int, request_id: int) -> None:
        """Stop one request; one that is unknown or finished is ignored."""
        self._cancel_and_answer(lambda job: job.client == client and job.request.id == request_id)

    def drop_client(self, client: int) -> None:
        """Stop everything a client asked for."""
        self._cancel_and_answer(lambda job: job.client == client)

    def close(self) -> None:
        """Stop everything; take() gives None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._cancel_and_answer(lambda job: True)

    def _cancel_and_answer(self, chosen: Callable[[Job], bool]) -> None:
        with self._changed:
            dropped = self._cancel(chosen, Reason.CANCELLED)
        self._answer_all(dropped)

    def _cancel(self, chosen: Callable[[Job], bool], reason: Reason) -> list[tuple[Job, Reason]]:
        """Flag the chosen running jobs; take the chosen waiting ones out and give them back."""
        for job in self._running:
            if job.cancelled is None and chosen(job):
                # The time first: the engine reads it as soon as it sees the flag.
                job.cancelled_at = self.clock()
                job.cancelled = reason
        return self._take_out(chosen, reason)

    def _drop_expired(self, now: float) -> list[tuple[Job, Reason]]:
        return self._take_out(lambda job: job.expired(now), Reason.DEADLINE)

    def _take_out(self, chosen: Callable[[Job], bool], reason: Reason) -> list[tuple[Job, Reason]]:
        out = [job for job in self._waiting if chosen(job)]
        if out:
            self._waiting = [job for job in self._waiting if job not in out]
        return [(job, reason) for job in out]

    def _next(self, *, urgent: bool) -> Job | None:
        job = min(self._waiting, key=lambda job: job.request.priority, default=None)
        return None if job is None or (urgent and not job.urgent) else job

    def _answer_all(self, dropped: list[tuple[Job, Reason]]) -> None:
        """Outside the lock: the answer may call back in."""
        for job, reason in dropped:
            self._answer(job, failure(job, reason))
