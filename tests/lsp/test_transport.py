"""The process over real pipes: streams, threads, and that it ends whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from echo_server import USER_CODE
from session import Session
from wire import Wire, WireError, at, change_at

SERVER = (sys.executable, str(Path(__file__).with_name("echo_server.py")))
URI = "file:///a.py"
CAPABILITIES = {
    "general": {"positionEncodings": ["utf-8", "utf-16"]},
    "textDocument": {"completion": {"completionItem": {"snippetSupport": True}}},
    "notebookDocument": {"synchronization": {"dynamicRegistration": True}},
    "window": {"workDoneProgress": True},
}


def server(tmp_path: Path, *constants: str) -> Wire:
    """A process of its own; `constants` are NAME=VALUE for transport.py."""
    return Wire((*SERVER, *constants), env={"CODEGEEX_STATE_DIR": str(tmp_path)})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One process for tests that leave it as it was."""
    with server(tmp_path_factory.mktemp("state")) as wire:
        wire.initialize()
        yield wire


def ends_within(wire: Wire, seconds: float) -> int:
    """The exit code. The bound is generous for a busy machine; what it must exclude is waiting for
    a handler, which would take an hour."""
    begin = time.monotonic()
    code = wire.wait_exit(timeout=30)
    assert time.monotonic() - begin < seconds
    return code


def started(wire: Wire, method: str, params: object = None) -> int | str:
    """The id of a request whose handler is running now."""
    id = wire.request(method, params)
    wire.wait_notification("echo/started")
    return id


# --- streams ------------------------------------------------------------------------------------


def test_odd_and_broken_frames_are_survived(shared: Wire) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": "odd", "method": "echo/plain", "params": 1}).encode()
    shared.raw(b"content-length:%d\n\n%b" % (len(body), body))
    assert shared.wait("odd")["result"] == 1
    for broken in (b"Content-Length: no\r\n\r\n", b"Content-Length: 3\r\n\r\n{,}"):
        shared.raw(broken)
        assert shared.wait(None)["error"]["code"] == -32700
    assert shared.call("echo/plain", "still here") == "still here"


def test_bytes_may_come_one_by_one(shared: Wire) -> None:
    body = b'{"jsonrpc":"2.0","id":"slow","method":"echo/plain","params":"\xe6\xbc\xa2"}'
    for byte in b"Content-Length: %d\r\n\r\n%b" % (len(body), body):
        shared.raw(bytes([byte]))
    assert shared.wait("slow")["result"] == "漢"


def test_many_messages_in_one_write_are_taken_in_order(shared: Wire) -> None:
    shared.open(URI, "")
    frames = b""
    for version in range(2, 302):
        change = {
            "textDocument": {"uri": URI, "version": version},
            "contentChanges": [change_at((0, version - 2), (0, version - 2), "x")],
        }
        for id, method, params in (
            (None, "textDocument/didChange", change),
            (f"v{version}", "echo/text", {"textDocument": {"uri": URI}}),
        ):
            message = {"jsonrpc": "2.0", "method": method, "params": params}
            body = json.dumps(message if id is None else {**message, "id": id}).encode()
            frames += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    shared.raw(frames)
    for version in range(2, 302):
        assert shared.wait(f"v{version}")["result"] == {
            "text": "x" * (version - 1),
            "version": version,
        }
    shared.notify("textDocument/didClose", {"textDocument": {"uri": URI}})


def test_a_large_document_and_a_large_answer(shared: Wire) -> None:
    text = "漢字 = 1\n" * 400_000
    shared.open(URI, text)
    assert shared.call("echo/text", {"textDocument": {"uri": URI}})["text"] == text
    shared.notify("textDocument/didClose", {"textDocument": {"uri": URI}})


def test_a_stray_print_does_not_reach_the_client(shared: Wire) -> None:
    assert shared.call("echo/print") == "printed"
    assert shared.call("echo/plain", 1) == 1
    assert "a stray line on stdout" in shared.stderr


def test_cancellation_is_quick_over_the_pipe(shared: Wire) -> None:
    id = started(shared, "echo/sleep")
    begin = time.monotonic()
    shared.cancel(id)
    assert shared.wait(id)["error"]["code"] == -32800
    assert time.monotonic() - begin < 0.5


def test_work_in_flight_does_not_delay_other_requests(shared: Wire) -> None:
    ids = [started(shared, "echo/sleep") for _ in range(50)]
    begin = time.monotonic()
    assert shared.call("echo/plain", 1) == 1
    assert time.monotonic() - begin < 0.5
    for id in ids:
        shared.cancel(id)
        shared.wait(id)


def test_inline_completion_end_to_end(shared: Wire) -> None:
    shared.open(URI, "x😀")
    params = {"textDocument": {"uri": URI}, "position": at(0, 0), "context": {"triggerKind": 1}}
    assert shared.call("textDocument/inlineCompletion", params) == [{"insertText": "x😀"}]


def test_a_thousand_keystrokes_do_not_grow_the_process(shared: Wire) -> None:
    """pygls kept 2 kB for each, for ever."""
    shared.open(URI, "x" * 100)

    def type_on(first: int, count: int) -> int:
        for version in range(first, first + count):
            shared.change(URI, version, change_at((0, 5), (0, 6), "y"))
        shared.call("echo/plain")
        status = Path(f"/proc/{shared.process.pid}/statm").read_text()
        return int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not Path("/proc/self/statm").exists():
        pytest.skip("resident memory is read from /proc")
    before = type_on(2, 1000)
    assert type_on(1002, 4000) - before < 2_000_000


# --- the end ------------------------------------------------------------------------------------


def test_exit_codes_tell_whether_there_was_a_shutdown(tmp_path: Path) -> None:
    with server(tmp_path) as wire:
        wire.initialize()
        assert wire.shutdown() == 0
    with server(tmp_path) as wire:
        wire.initialize()
        wire.notify("exit")
        assert ends_within(wire, 10) == 1


def test_shutdown_answers_what_is_in_flight_and_exits(tmp_path: Path) -> None:
    with server(tmp_path) as wire:
        wire.initialize()
        ids = [started(wire, "echo/sleep"), started(wire, "echo/stubborn", "forever")]
        wire.request("shutdown", id="end")
        wire.notify("exit")
        assert ends_within(wire, 10) == 0
        wire.wait("end")
        assert [wire.wait(id)["error"]["code"] for id in ids] == [-32800, -32800]
        assert [len(wire.replies(id)) for id in (*ids, "end")] == [1, 1, 1]


def test_the_end_of_stdin_ends_the_process(tmp_path: Path) -> None:
    with server(tmp_path) as wire:
        wire.initialize()
        started(wire, "echo/sleep")
        wire.close_stdin()
        assert ends_within(wire, 10) == 1


def test_the_end_of_stdin_ends_a_process_whose_handler_hangs(tmp_path: Path) -> None:
    with server(tmp_path, "GRACE_S=0.3") as wire:
        wire.initialize()
        started(wire, "echo/hang")
        wire.close_stdin()
        assert ends_within(wire, 15) == 1


def test_what_stdin_held_before_its_end_is_done(tmp_path: Path) -> None:
    with server(tmp_path) as wire:
        wire.initialize()
        wire.request("shutdown", id="end")
        wire.close_stdin()
        assert ends_within(wire, 10) == 0
        assert wire.wait("end")["result"] is None


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("method", ["echo/sleep", "echo/hang"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process(tmp_path: Path, number: signal.Signals, method: str) -> None:
    """Stdin stays open, so a blocking read must not keep it; nor must a handler that hangs."""
    with server(tmp_path, "GRACE_S=0.3") as wire:
        wire.initialize()
        started(wire, method)
        wire.process.send_signal(number)
        assert ends_within(wire, 15) == 128 + number


@pytest.mark.skipif(os.name != "posix", reason="the parent is not watched on Windows")
@pytest.mark.parametrize("method", ["echo/sleep", "echo/hang"])
def test_the_process_ends_when_its_parent_does(tmp_path: Path, method: str) -> None:
    parent = subprocess.Popen(["sleep", "3600"])
    with server(tmp_path, "PARENT_POLL_S=0.05", "GRACE_S=0.3") as wire:
        wire.initialize(processId=parent.pid)
        started(wire, method)
        parent.kill()
        parent.wait()
        assert ends_within(wire, 15) == 1


def test_a_parent_that_cannot_be_seen_is_not_missed(tmp_path: Path) -> None:
    """An editor outside the container has a number that means nothing inside."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    with server(tmp_path, "PARENT_POLL_S=0.01") as wire:
        wire.initialize(processId=gone.pid)
        for _ in range(20):
            assert wire.call("echo/plain", 1) == 1


def test_a_client_that_stops_reading_blocks_nothing_and_is_left_in_the_end(tmp_path: Path) -> None:
    with server(tmp_path, "PATIENCE_S=0.3") as wire:
        wire.initialize()
        wire.stop_reading()
        wire.open(URI, "")
        # Far more than a pipe holds; the server goes on reading and working meanwhile.
        for _ in range(40):
            wire.request("echo/big", {"size": 100_000})
        wire.change(URI, 2, change_at((0, 0), (0, 0), "typed meanwhile"))
        wire.resume_reading()
        assert wire.call("echo/text", {"textDocument": {"uri": URI}})["text"] == "typed meanwhile"
        wire.stop_reading()
        with contextlib.suppress(BrokenPipeError):
            while wire.process.poll() is None:
                wire.request("echo/big", {"size": 100_000})
                time.sleep(0.005)
        assert ends_within(wire, 10) == 1


def test_a_client_that_closes_its_end_is_left(tmp_path: Path) -> None:
    with server(tmp_path) as wire:
        wire.initialize()
        wire.hang_up()
        wire.request("echo/plain")
        wire.request("echo/plain")
        assert ends_within(wire, 10) == 1


# --- start-up ---------------------------------------------------------------------------------


def test_lean_classes_are_sent_like_whole_ones(shared: Wire, tmp_path: Path) -> None:
    """The process generates less code per lsprotocol class; the client must not see that."""
    whole = Session()
    parameters = {"processId": None, "rootUri": None, "capabilities": CAPABILITIES}
    whole.request("initialize", parameters)
    with server(tmp_path) as wire:
        assert [{"jsonrpc": "2.0", "id": 1, "result": wire.initialize(CAPABILITIES)}] == whole.sent


# --- the log ------------------------------------------------------------------------------------


def test_the_log_holds_no_user_code(tmp_path: Path) -> None:
    """Neither texts nor what exceptions say; but which request failed, and where."""
    with server(tmp_path) as wire:
        wire.initialize(options={"key": USER_CODE})
        wire.open(URI, USER_CODE)
        wire.change(URI, 2, {"text": USER_CODE}, {"text": 5, "range": USER_CODE})
        wire.change("file:///unopened.py", 2, {"text": USER_CODE})
        for method in ("echo/fail", "echo/failLater", "echo/unsendable", "no/such"):
            with pytest.raises(WireError):
                wire.call(method, USER_CODE)
        wire.raw(b"Content-Length: 5\r\n\r\n{" + USER_CODE[:4].encode())
        wire.wait(None)
        wire.shutdown()
        log = (tmp_path / "codegeex-lsp.log").read_text()
        assert USER_CODE not in log + wire.stderr
        assert "echo/failLater failed." in log
        assert "echo_server.py" in log
        assert "ValueError" in log
