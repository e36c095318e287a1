"""The order of work, with a clock that the test turns and no model."""

from __future__ import annotations

import threading

import pytest

from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.wire.protocol import Embed, Failure, Generate, Priority, Reason


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A scheduler, its clock, and what it answered by itself: (client, id, reason)."""

    def __init__(self, capacity: int = 32) -> None:
        self.clock = Clock()
        self.answered: list[tuple[int, int, str]] = []
        self.scheduler = Scheduler(self._answer, capacity=capacity, clock=self.clock)

    def _answer(self, job: Job, reply: Failure) -> None:
        assert reply.message.endswith(".")
        self.answered.append((job.client, reply.id, reply.reason))

    def submit(self, number: int, client: int = 1, **fields: object) -> None:
        self.scheduler.submit(client, Generate(number, "text", **fields))  # type: ignore[arg-type]

    def take(self, kind: type[Generate | Embed] = Generate, *, beside: bool = False) -> Job:
        job = self.scheduler.take(kind, beside=beside)
        assert job is not None
        return job

    def embed(self, number: int, **fields: object) -> None:
        self.scheduler.submit(1, Embed(number, ("text",), **fields))  # type: ignore[arg-type]

    def taken(self) -> list[int]:
        """The ids of everything that waits, in the order of running."""
        return [self.take().request.id for _ in range(self.scheduler.waiting)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_first_come_first_served_and_interactive_before_batch(bench: Bench) -> None:
    bench.submit(1, priority=Priority.BATCH)
    bench.submit(2, priority=Priority.INTERACTIVE)
    bench.submit(3, priority=Priority.BATCH)
    bench.submit(4, client=2, priority=Priority.INTERACTIVE)
    assert bench.taken() == [2, 4, 1, 3]


def test_expired_work_is_never_run(bench: Bench) -> None:
    bench.submit(1, deadline_ms=50)
    bench.submit(2, deadline_ms=51)
    bench.submit(3)
    bench.clock.now += 0.050
    assert bench.take().request.id == 2
    assert bench.answered == [(1, 1, Reason.DEADLINE)]


def test_expired_work_takes_no_place_in_the_queue() -> None:
    bench = Bench(capacity=1)
    bench.submit(1, deadline_ms=10)
    bench.clock.now += 1
    bench.submit(2)
    assert bench.answered == [(1, 1, Reason.DEADLINE)]
    assert bench.taken() == [2]


def test_a_full_queue_answers_busy_at_once() -> None:
    bench = Bench(capacity=2)
    for number in (1, 2, 3):
        bench.submit(number)
    assert bench.answered == [(1, 3, Reason.BUSY)]
    assert bench.taken() == [1, 2]


def test_the_youngest_of_the_lowest_priority_is_busy_first() -> None:
    bench = Bench(capacity=3)
    for number in (1, 2, 3):
        bench.submit(number, priority=Priority.BATCH)
    bench.submit(4, priority=Priority.INTERACTIVE)
    bench.embed(5, priority=Priority.INTERACTIVE)
    bench.submit(6, priority=Priority.BATCH)
    bench.submit(7, priority=Priority.INTERACTIVE)
    bench.submit(8, priority=Priority.INTERACTIVE)
    assert bench.answered == [(1, number, Reason.BUSY) for number in (3, 2, 6, 1, 8)]
    assert bench.scheduler.waiting == 3


def test_each_thread_takes_its_own_kind(bench: Bench) -> None:
    bench.embed(1)
    bench.submit(2)
    bench.embed(3)
    assert [bench.take(Embed).request.id, bench.take().request.id] == [1, 2]
    bench.embed(4, priority=Priority.INTERACTIVE)
    assert bench.scheduler.take(Generate, beside=True) is None
    assert bench.take(Embed, beside=True).request.id == 4


def test_what_nobody_waits_for_lets_the_other_kind_pass(bench: Bench) -> None:
    bench.embed(1)
    batch = bench.take(Embed)
    assert bench.scheduler.let_pass(batch), "nobody is there"
    bench.submit(2, priority=Priority.BATCH)
    assert bench.scheduler.let_pass(batch), "nobody waits for it"
    bench.submit(3)
    completion = bench.take()
    passed: list[bool] = []
    thread = threading.Thread(target=lambda: passed.append(bench.scheduler.let_pass(batch)))
    thread.start()
    thread.join(0.1)
    assert not passed, "somebody waits for the completion"
    bench.scheduler.finish(completion)
    thread.join(10)
    assert passed == [True]


def test_letting_pass_ends_when_there_is_something_else_to_do(bench: Bench) -> None:
    bench.embed(1, deadline_ms=50)
    batch = bench.take(Embed)
    bench.submit(2)
    bench.embed(3, priority=Priority.INTERACTIVE)
    assert not bench.scheduler.let_pass(batch), "an urgent one of its own kind waits"
    urgent = bench.take(Embed)
    assert bench.scheduler.let_pass(urgent), "it is urgent itself"
    bench.scheduler.finish(urgent)
    bench.clock.now += 1
    assert not bench.scheduler.let_pass(batch), "it is late"
    bench.scheduler.cancel(1, 1)
    assert not bench.scheduler.let_pass(batch), "it is cancelled"


def test_newest_wins_even_when_the_queue_is_full() -> None:
    bench = Bench(capacity=1)
    bench.submit(1, document="a.py")
    bench.submit(2, document="a.py")
    assert bench.answered == [(1, 1, Reason.SUPERSEDED)]
    assert bench.taken() == [2]


def test_newest_wins_over_the_running_one(bench: Bench) -> None:
    bench.submit(1, document="a.py")
    running = bench.take()
    bench.clock.now += 3
    bench.submit(2, document="a.py")
    assert running.cancelled is Reason.SUPERSEDED
    assert running.cancelled_at == bench.clock.now
    assert bench.answered == [], "a taken job is answered by the engine"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"document": "a.py"}, {"document": "b.py"}),
        ({"document": ""}, {"document": ""}),
        ({"document": "a.py"}, {"document": "a.py", "client": 2}),
        ({"document": "a.py", "priority": Priority.BATCH}, {"document": "a.py"}),
        ({"document": "a.py"}, {"document": "a.py", "priority": Priority.BATCH}),
    ],
    ids=["other document", "no document", "other client", "older is batch", "newer is batch"],
)
def test_what_a_newer_request_leaves_alone(
    bench: Bench, older: dict[str, object], newer: dict[str, object]
) -> None:
    bench.submit(1, **older)  # type: ignore[arg-type]
    bench.submit(2, **newer)  # type: ignore[arg-type]
    assert bench.answered == []
    assert sorted(bench.taken()) == [1, 2]


def test_cancel_takes_out_a_waiting_job_and_flags_a_running_one(bench: Bench) -> None:
    bench.submit(1)
    bench.submit(2)
    running = bench.take()
    bench.scheduler.cancel(1, 1)
    bench.scheduler.cancel(1, 2)
    assert running.cancelled is Reason.CANCELLED
    assert bench.answered == [(1, 2, Reason.CANCELLED)]
    assert bench.scheduler.waiting == 0


def test_cancel_of_something_unknown_finished_or_foreign_is_ignored(bench: Bench) -> None:
    bench.submit(1)
    job = bench.take()
    bench.scheduler.finish(job)
    bench.submit(2)
    for client, number in ((1, 1), (1, 99), (2, 2)):
        bench.scheduler.cancel(client, number)
    assert job.cancelled is None
    assert bench.answered == []


def test_a_client_that_left_has_everything_cancelled(bench: Bench) -> None:
    for number, client in ((1, 7), (2, 7), (3, 8)):
        bench.submit(number, client=client)
    running = bench.take()
    bench.scheduler.drop_client(7)
    assert running.cancelled is Reason.CANCELLED
    assert bench.answered == [(7, 2, Reason.CANCELLED)]
    assert bench.taken() == [3]


def test_the_first_reason_stays(bench: Bench) -> None:
    bench.submit(1, document="a.py")
    running = bench.take()
    bench.submit(2, document="a.py")
    bench.scheduler.drop_client(1)
    assert running.cancelled is Reason.SUPERSEDED


def test_only_urgent_jobs_run_beside_others(bench: Bench) -> None:
    bench.submit(1, priority=Priority.BATCH)
    bench.take()
    bench.submit(2, priority=Priority.BATCH)
    assert bench.scheduler.take(Generate, beside=True) is None
    bench.submit(3)
    bench.submit(4)
    assert [bench.take(beside=True).request.id for _ in range(2)] == [3, 4]
    assert bench.scheduler.take(Generate, beside=True) is None


def test_take_waits_for_a_job(bench: Bench) -> None:
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(bench.take().request.id))
    thread.start()
    bench.submit(1)
    thread.join(10)
    assert taken == [1]


def test_closing_ends_the_wait_and_answers_what_waits(bench: Bench) -> None:
    bench.submit(1)
    running = bench.take()
    bench.submit(2)
    bench.scheduler.close()
    assert bench.scheduler.take(Generate) is None
    assert running.cancelled is Reason.CANCELLED
    bench.submit(3)
    assert bench.answered == [(1, 2, Reason.CANCELLED), (1, 3, Reason.CANCELLED)]


def test_every_job_is_answered_once_when_many_threads_ask_and_cancel() -> None:
    bench = Bench(capacity=8)
    taken: list[Job] = []

    def work() -> None:
        while (job := bench.scheduler.take(Generate)) is not None:
            taken.append(job)
            bench.scheduler.finish(job)

    def ask(client: int) -> None:
        for number in range(200):
            bench.submit(number, client=client, document="a.py" if number % 3 else "")
            if number % 5 == 0:
                bench.scheduler.cancel(client, number)

    engine = threading.Thread(target=work)
    clients = [threading.Thread(target=ask, args=(client,)) for client in range(4)]
    for thread in (engine, *clients):
        thread.start()
    for thread in clients:
        thread.join(20)
    bench.scheduler.close()
    engine.join(20)
    ended = [(job.client, job.request.id) for job in taken]
    ended += [(client, number) for client, number, _ in bench.answered]
    assert sorted(ended) == [(client, number) for client in range(4) for number in range(200)]
