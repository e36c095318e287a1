"""Which request runs next: priorities, deadlines, newest-wins, a bounded queue, cancellation.

Knows no tensor, no socket and no text. The connections submit and cancel from the event loop; two
threads take, the engine what is to be written and the embedder what is to be embedded. A job that
nobody took is answered from here, a taken one by who took it, so every job is answered exactly
once.
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

    Once `cancelled` is set whoever runs it stops before the next step; it is written once and read
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

    def like(self, other: Job) -> bool:
        """Whether the same thread takes both."""
        return type(self.request) is type(other.request)

    def replaces(self, older: Job) -> bool:
        """Newest wins among the interactive requests of one client and kind for one document."""
        return (
            self.like(older)
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
    Reason.ENGINE_ERROR: "The model runtime failed and starts anew; its log says where.",
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
        """Queue a request. When the queue is full, the youngest of the lowest priority is busy."""
        now = self.clock()
        deadline = now + request.deadline_ms / 1000 if request.deadline_ms else None
        job = Job(client, request, now, deadline)
        with self._changed:
            dropped = self._drop_expired(now) + self._cancel(job.replaces, Reason.SUPERSEDED)
            if self._closed:
                dropped.append((job, Reason.CANCELLED))
            else:
                self._waiting.append(job)
                dropped += self._shed()
                self._changed.notify_all()
        self._answer_all(dropped)

    def take(self, kind: type[Generate | Embed], *, beside: bool = False) -> Job | None:
        """The next job of a kind. Blocks until there is one; None once the scheduler is closed.

        `beside` others that run it never blocks and gives urgent jobs only.
        """
        while True:
            with self._changed:
                dropped = self._drop_expired(self.clock())
                job = self._next(kind, urgent=beside)
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

    def let_pass(self, job: Job) -> bool:
        """Wait while somebody waits for another kind of work than this job, which isn't urgent.

        False when it had rather look again: the job is cancelled or late by now, or an urgent one
        of its own kind came.
        """
        with self._changed:
            while not job.urgent and self._urgent(lambda other: not job.like(other)):
                now = self.clock()
                if job.cancelled is not None or job.expired(now) or self._urgent(job.like):
                    return False
                self._changed.wait(None if job.deadline is None else job.deadline - now)
        return True

    def finish(self, job: Job) -> None:
        """Who took the job is done with it and has answered it."""
        with self._changed:
            self._running.remove(job)
            self._changed.notify_all()

    def cancel(self, client: int, request_id: int) -> None:
        """Stop one request; one that is unknown or finished is ignored."""
        self._cancel_and_answer(lambda job: job.client == client and job.request.id == request_id)

    def drop_client(self, client: int) -> None:
        """Stop everything a client asked for."""
        self._cancel_and_answer(lambda job: job.client == client)

    def close(self, reason: Reason = Reason.CANCELLED) -> None:
        """Stop everything; take() gives None from now on."""
        with self._changed:
            self._closed = True
        self._cancel_and_answer(lambda job: True, reason)

    def _cancel_and_answer(
        self, chosen: Callable[[Job], bool], reason: Reason = Reason.CANCELLED
    ) -> None:
        with self._changed:
            dropped = self._cancel(chosen, reason)
        self._answer_all(dropped)

    def _cancel(self, chosen: Callable[[Job], bool], reason: Reason) -> list[tuple[Job, Reason]]:
        """Flag the chosen running jobs; take the chosen waiting ones out and give them back."""
        for job in self._running:
            if job.cancelled is None and chosen(job):
                # The time first: the engine reads it as soon as it sees the flag.
                job.cancelled_at = self.clock()
                job.cancelled = reason
        self._changed.notify_all()
        return self._take_out(chosen, reason)

    def _shed(self) -> list[tuple[Job, Reason]]:
        """What is too much in the queue: interactive requests find room while batch ones wait."""
        if len(self._waiting) <= self._capacity:
            return []
        last = max(reversed(self._waiting), key=lambda job: job.request.priority)
        return self._take_out(lambda job: job is last, Reason.BUSY)

    def _drop_expired(self, now: float) -> list[tuple[Job, Reason]]:
        return self._take_out(lambda job: job.expired(now), Reason.DEADLINE)

    def _take_out(self, chosen: Callable[[Job], bool], reason: Reason) -> list[tuple[Job, Reason]]:
        out = [job for job in self._waiting if chosen(job)]
        if out:
            self._waiting = [job for job in self._waiting if job not in out]
        return [(job, reason) for job in out]

    def _next(self, kind: type[Generate | Embed], *, urgent: bool) -> Job | None:
        waiting = [job for job in self._waiting if isinstance(job.request, kind)]
        job = min(waiting, key=lambda job: job.request.priority, default=None)
        return None if job is None or (urgent and not job.urgent) else job

    def _urgent(self, chosen: Callable[[Job], bool]) -> bool:
        """Whether one of these waits or runs that somebody waits for."""
        return any(job.urgent and chosen(job) for job in (*self._waiting, *self._running))

    def _answer_all(self, dropped: list[tuple[Job, Reason]]) -> None:
        """Outside the lock: the answer may call back in."""
        for job, reason in dropped:
            self._answer(job, failure(job, reason))
