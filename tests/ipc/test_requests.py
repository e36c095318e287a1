"""Requests through the real process: sharing, cancelling, replacing, waiting."""

from __future__ import annotations

import time
from typing import Any

import pytest
from processes import Client, Runtime, until

from model_runtime.wire.protocol import Cancel, Chunk, Failure, Generate, Priority, Reason, Result

# Some thousands of steps: seconds, if nobody ends it.
LONG: dict[str, Any] = {"max_new_tokens": 4000, "stream": True}


def begin(client: Client, number: int, **fields: Any) -> None:
    """Send a long request and wait until it is decoding."""
    client.send(Generate(number, "x = 1\n", **{**LONG, **fields}))
    client.wait_for(Chunk, id=number)


def check_failure(reply: Result | Failure, reason: Reason) -> None:
    assert isinstance(reply, Failure), reply
    assert reply.reason == reason
    assert reply.message.endswith(".")


def test_two_clients_share_one_runtime_and_their_ids_do_not_mix(serving: Runtime) -> None:
    one, other = serving.client().ready(), serving.client().ready()
    one.send(Generate(1, "def first():\n", max_new_tokens=6))
    other.send(Generate(1, "class Second:\n", max_new_tokens=6))
    answers = [one.answer(1), other.answer(1)]
    assert all(isinstance(answer, Result) for answer in answers)
    again = other.ask(1, "class Second:\n", max_new_tokens=6)
    assert isinstance(again, Result)
    assert isinstance(answers[1], Result)
    assert again.candidates[0].text == answers[1].candidates[0].text
    assert again.timing.cached_tokens == again.timing.prompt_tokens - 1


def test_two_windows_decode_at_the_same_time(serving: Runtime) -> None:
    one, other = serving.client().ready(), serving.client().ready()
    begin(one, 1)
    begin(other, 1)
    for client in (one, other):
        client.send(Cancel(1))
        check_failure(client.answer(1), Reason.CANCELLED)
    assert one.status()["cancel"]["steps_after"] <= 1


def test_a_cancel_frees_the_engine_within_one_step(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1)
    client.send(Cancel(1))
    check_failure(client.answer(1), Reason.CANCELLED)
    cancel = client.status()["cancel"]
    assert cancel["count"] >= 1
    assert cancel["steps_after"] <= 1


def test_a_closed_connection_cancels_what_it_asked(serving: Runtime) -> None:
    watcher = serving.client().ready()
    count = watcher.status()["cancel"]["count"]
    leaver = serving.client().ready()
    begin(leaver, 1)
    leaver.close()
    until(lambda: watcher.status()["cancel"]["count"] > count, "the cancel")
    assert watcher.status()["cancel"]["steps_after"] <= 1


def test_a_newer_request_for_the_document_supersedes_the_running_one(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1, document="a.py")
    client.send(Generate(2, "x = 2\n", document="a.py", max_new_tokens=4))
    check_failure(client.answer(1), Reason.SUPERSEDED)
    assert isinstance(client.answer(2), Result)


def test_a_full_queue_is_busy_at_once(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1)
    for number in range(2, 36):
        client.send(Generate(number, "x = 1\n", priority=Priority.BATCH))
    for number in (34, 35):
        check_failure(client.answer(number), Reason.BUSY)


def test_an_interactive_request_runs_inside_a_batch_one(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1, priority=Priority.BATCH)
    assert isinstance(client.ask(2), Result)
    client.send(Cancel(1))
    check_failure(client.answer(1), Reason.CANCELLED)


def test_a_deadline_gives_what_there_is(serving: Runtime) -> None:
    client = serving.client().ready()
    result = client.ask(1, max_new_tokens=4000, deadline_ms=300)
    assert isinstance(result, Result)
    assert result.candidates[0].finish == "deadline"


def test_work_past_its_deadline_is_dropped_unseen(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1)
    client.send(Generate(2, "x = 1\n", deadline_ms=1, priority=Priority.BATCH))
    time.sleep(0.02)  # the deadline itself
    client.send(Cancel(1))
    check_failure(client.answer(2), Reason.DEADLINE)


def test_a_request_the_model_cannot_take(serving: Runtime) -> None:
    client = serving.client().ready()
    check_failure(client.ask(1, max_new_tokens=0), Reason.BAD_REQUEST)
    check_failure(client.ask(2, task="translate"), Reason.UNSUPPORTED_TASK)
    assert isinstance(client.ask(3), Result)


def test_a_cancel_of_nothing_is_ignored(serving: Runtime) -> None:
    client = serving.client().ready()
    client.send(Cancel(99))
    assert isinstance(client.ask(1), Result)


@pytest.mark.parametrize("size", [7_000, 200_000])
def test_the_way_there_and_back_is_short(serving: Runtime, size: int) -> None:
    """Without the model's own time; a refused request takes the whole way through the engine."""
    client = serving.client().ready()
    took = []
    for number in range(1, 30):
        began = time.perf_counter()
        check_failure(client.ask(number, "x" * size, task="none"), Reason.UNSUPPORTED_TASK)
        took.append((time.perf_counter() - began) * 1000)
    assert sorted(took)[len(took) // 2] < 10
