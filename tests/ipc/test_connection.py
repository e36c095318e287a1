"""The door: who is let in, and what a bad client costs the others."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import Any

import msgpack
import pytest
from processes import Client, Runtime

from model_runtime import __version__
from model_runtime.wire import protocol
from model_runtime.wire.protocol import Failure, Reason, Result, StatusQuery, Welcome


def assert_refused(client: Client) -> str:
    failure = client.next()
    assert isinstance(failure, Failure)
    assert (failure.id, failure.reason) == (0, Reason.REFUSED)
    assert client.hung_up()
    return failure.message


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"token": "0" * 64}, "token"),
        ({"token": ""}, "token"),
        ({"token": "\ud83d"}, "token"),
        ({"protocol": 999}, "protocol"),
        ({"version": "0.0.0"}, "version"),
    ],
)
def test_a_bad_hello_is_refused(shared: Runtime, changes: dict[str, Any], word: str) -> None:
    assert word in assert_refused(shared.connect().greet(**changes))


def test_without_a_hello_nothing_is_said(shared: Runtime) -> None:
    client = shared.connect()
    client.send(StatusQuery(1))
    assert "hello" in assert_refused(client)


def test_a_late_hello_is_refused(shared: Runtime) -> None:
    began = time.monotonic()
    assert "in time" in assert_refused(shared.connect())
    assert time.monotonic() - began >= protocol.HELLO_DEADLINE_S - 0.1


def test_the_welcome(serving: Runtime) -> None:
    welcome = serving.connect().greet().wait_for(Welcome)
    assert welcome.version == __version__
    assert welcome.pid == serving.processes[0].pid
    assert welcome.model == serving.model
    assert welcome.context_chars == 4 * 8192


ACTIVITY = {"type": "Activity", "requests": 1, "cached": 0, "shown": 0}


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        msgpack.packb([1, 2, 3]),
        msgpack.packb({"type": "Nonsense"}),
        msgpack.packb({"type": "Generate", "id": "one", "prefix": ""}),
        msgpack.packb({"type": "Generate"}),
        msgpack.packb({**ACTIVITY, "empty": {"busy": {"busy": {}}}}),
        msgpack.packb({**ACTIVITY, "empty": {b"busy": 1, "late": 1}}),
        msgpack.packb({"type": "Welcome", "protocol": 1, "version": "", "pid": 1, "model": ""})
        + protocol.encode(Failure(1, "busy")),
        b"\xdb\xff\xff\xff\xff" + b"x" * (protocol.MAX_MESSAGE_BYTES + 1),
    ],
    ids=[
        "byte",
        "no map",
        "unknown",
        "wrong type",
        "no fields",
        "no count",
        "no name",
        "ours",
        "too long",
    ],
)
def test_malformed_bytes_close_only_that_link(serving: Runtime, data: bytes) -> None:
    good, bad = serving.client(), serving.client()
    with contextlib.suppress(ConnectionError):  # it may hang up before it has all
        bad.socket.sendall(data)
    assert bad.hung_up()
    assert isinstance(good.ready().ask(1), Result)


def test_only_the_user_can_reach_it(serving: Runtime) -> None:
    def mode(path: os.PathLike[str]) -> int:
        return stat.S_IMODE(os.stat(path).st_mode)

    assert mode(serving.folder) == 0o700
    assert mode(serving.meeting.socket) == 0o600
    assert mode(serving.meeting.endpoint) == 0o600


def test_a_client_that_stops_reading_is_dropped(serving: Runtime) -> None:
    deaf, good = serving.client(), serving.client().ready()
    before = good.status()["memory_bytes"]
    questions = protocol.encode(StatusQuery(1)) * 100_000
    with pytest.raises(ConnectionError):
        deaf.socket.sendall(questions)
    after = good.status()
    assert after["memory_bytes"] - before < 32 * 2**20
    assert "stopped reading" in serving.log()


def test_the_log_holds_no_user_text(serving: Runtime) -> None:
    client = serving.client().ready()
    client.ask(1, "password = 'hunter2'", path="/home/me/secret.py")
    client.ask(2, "password = 'hunter2'", temperature=-1.0)
    assert "hunter2" not in serving.log()
    assert "secret.py" not in serving.log()
