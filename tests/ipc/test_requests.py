"""Requests through the real process: sharing, cancelling, replacing, waiting."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import pytest
from processes import Client, Runtime, until

from model_runtime.wire import protocol
from model_runtime.wire.protocol import (
    Activity,
    Cancel,
    Chunk,
    Embed,
    Failure,
    Forget,
    Generate,
    Priority,
    Reason,
    Remember,
    Result,
    Snippet,
)

# The largest that is taken: with more a choice is no longer the model's.
MAX_TEMPERATURE = 1e6
# Some thousands of steps: seconds, if nobody ends it.
LONG: dict[str, Any] = {"max_new_tokens": 4000, "stream": True}


def begin(client: Client, number: int, **fields: Any) -> None:
    """Send a long request and wait until it is decoding."""
    client.send(Generate(number, "x = 1\n", **{**LONG, **fields}))
    client.wait_for(Chunk, id=number)


def assert_failure(reply: Result | Failure, reason: Reason) -> None:
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
        assert_failure(client.answer(1), Reason.CANCELLED)
    assert one.status()["cancel"]["steps_after"] <= 1


def test_a_cancel_frees_the_engine_within_one_step(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1)
    client.send(Cancel(1))
    assert_failure(client.answer(1), Reason.CANCELLED)
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
    assert_failure(client.answer(1), Reason.SUPERSEDED)
    assert isinstance(client.answer(2), Result)


def test_a_full_queue_is_busy_at_once(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1)
    for number in range(2, 36):
        client.send(Generate(number, "x = 1\n", priority=Priority.BATCH))
    for number in (34, 35):
        assert_failure(client.answer(number), Reason.BUSY)


def test_who_types_finds_room_in_a_queue_full_of_batches(serving: Runtime) -> None:
    busy, client = serving.client().ready(), serving.client().ready()
    for number in range(1, 5):  # as many as run at once
        begin(busy, number)
    for number in range(10, 42):
        busy.send(Generate(number, "x = 1\n", priority=Priority.BATCH))
    until(lambda: client.status()["queue"] == 32, "the queue to be full")
    client.send(Generate(1, "x = 1\n", max_new_tokens=4))
    assert_failure(busy.answer(41), Reason.BUSY)
    busy.send(Cancel(1))
    assert isinstance(client.answer(1), Result)


def test_an_interactive_request_runs_inside_a_batch_one(serving: Runtime) -> None:
    client = serving.client().ready()
    begin(client, 1, priority=Priority.BATCH)
    assert isinstance(client.ask(2), Result)
    client.send(Cancel(1))
    assert_failure(client.answer(1), Reason.CANCELLED)


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
    assert_failure(client.answer(2), Reason.DEADLINE)


def test_a_request_the_model_cannot_take(serving: Runtime) -> None:
    client = serving.client().ready()
    assert_failure(client.ask(1, max_new_tokens=0), Reason.BAD_REQUEST)
    assert_failure(client.ask(2, task="translate"), Reason.UNSUPPORTED_TASK)
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
        assert_failure(client.ask(number, "x" * size, task="none"), Reason.UNSUPPORTED_TASK)
        took.append((time.perf_counter() - began) * 1000)
    assert sorted(took)[len(took) // 2] < 10


# --- what may stand in a text ---------------------------------------------------------------------

HALVES = "s = '\ud83d' + '\ude00'\0\ufeff\x1b[0m\u2028\r"


@pytest.mark.parametrize(
    "name", [it.name for it in dataclasses.fields(Generate) if it.type == "str"]
)
def test_half_an_emoji_is_a_character_like_any_other(serving: Runtime, name: str) -> None:
    """And so are the others that stand in HALVES, wherever they do."""
    client = serving.client().ready()
    for number, text in enumerate((HALVES, f"{HALVES}\n{HALVES}\n", f"x\n{HALVES}"), 1):
        reply = client.ask(number, **{"prefix": "x = ", "suffix": "\ny = 1\n", name: text})
        expected = Failure if name == "task" else Result
        assert isinstance(reply, expected), reply


def test_half_an_emoji_in_what_lies_around(serving: Runtime) -> None:
    client = serving.client().ready()
    pieces = (Snippet(HALVES, f"{HALVES}\n"), Snippet("b.py", f"x = 1\n{HALVES}"))
    assert isinstance(client.ask(1, snippets=pieces, stop=(HALVES, "")), Result)
    client.send(Remember(HALVES, "x = '\ud83d'\n"))
    client.send(Remember("a.py", HALVES))
    until(lambda: client.status()["remembered"]["documents"] == 1, "what is no binary")
    assert isinstance(client.ask(2, document="a.py"), Result)
    client.send(Forget(HALVES))
    until(lambda: client.status()["remembered"]["documents"] == 0, "the end of it")
    client.send(Activity(1, 0, 0, {HALVES: 1}, HALVES))
    client.send(Embed(3, (HALVES,), HALVES, HALVES))
    assert_failure(client.wait_for(Failure, id=3), Reason.BAD_REQUEST)
    assert client.status()["editors"]


def test_half_an_emoji_in_a_name(serving: Runtime) -> None:
    client = serving.connect().greet(client=HALVES).ready()
    client.send(Activity(1, 0, 0, {}))
    assert "\ufffd" in str(client.status()["editors"])


def test_bytes_that_are_no_text_close_the_link(serving: Runtime) -> None:
    for broken in (b"\xed\xa0", b"\xff", b"\xed\xa0\x41"):
        client = serving.client().ready()
        whole = protocol.encode(Generate(1, "@@@"))
        client.socket.sendall(whole.replace(b"@@@"[: len(broken)], broken, 1))
        assert client.hung_up()


# --- how tokens are chosen ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 1.0, "top_p": 0.0},
        {"temperature": 2.0, "top_p": 1e-30},
        {"temperature": 2.0, "top_k": 1},
        {"temperature": 1e-9},
        {"temperature": 1.0, "top_p": -0.0, "beams": 3},
    ],
)
def test_the_likeliest_token_whatever_the_seed(serving: Runtime, sampling: dict[str, Any]) -> None:
    client = serving.client().ready()

    def texts(number: int, **fields: Any) -> list[str]:
        reply = client.ask(number, max_new_tokens=12, **fields)
        assert isinstance(reply, Result), reply
        return [candidate.text for candidate in reply.candidates]

    likeliest = texts(1, beams=sampling.get("beams", 0))
    drawn = [texts(2 + seed, seed=seed, best_first=False, **sampling) for seed in range(4)]
    assert drawn == [likeliest] * 4


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": value}
        for value in (-1.0, -0.1, math.nan, math.inf, -math.inf, 1e300, MAX_TEMPERATURE * 2)
    ]
    + [{"top_p": value} for value in (-0.1, 1.1, math.nan, math.inf, -math.inf)]
    + [{"top_k": -1}, {"beams": -1}, {"beams": 2, "temperature": 1.0}, {"beams": 1000}],
    ids=str,
)
def test_what_no_choice_can_be_made_by_is_refused(
    serving: Runtime, sampling: dict[str, Any]
) -> None:
    client = serving.client().ready()
    assert_failure(client.ask(1, **sampling), Reason.BAD_REQUEST)
    assert isinstance(client.ask(2), Result)


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": MAX_TEMPERATURE, "top_p": 0.999999},
        {"temperature": MAX_TEMPERATURE, "top_k": 10**9},
        {"temperature": 1.0, "seed": -(2**63)},
        {"temperature": 1.0, "seed": 2**64 - 1},
        {"max_new_tokens": 2**63, "deadline_ms": 50},
        {"candidates": 2**63, "temperature": 1.0},
        {"max_lines": 2**63},
        {"priority": 2**63},
        {"priority": -(2**63)},
        {"deadline_ms": 2**64 - 1},
    ],
    ids=str,
)
def test_the_largest_and_smallest_numbers(serving: Runtime, sampling: dict[str, Any]) -> None:
    client = serving.client().ready()
    assert isinstance(client.ask(1, **sampling), Result)
