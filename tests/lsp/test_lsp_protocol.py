"""Each request gets exactly one reply, whatever the client sends, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from echo_server import USER_CODE
from session import Json, Session

DOCUMENT = {"uri": "file:///a.py"}
INLINE = {
    "textDocument": DOCUMENT,
    "position": {"line": 0, "character": 0},
    "context": {"triggerKind": 1},
}
INITIALIZE = {"processId": None, "rootUri": None, "capabilities": {}}


async def assert_refused(method: str, params: Any, expected: int, mentions: str) -> None:
    """A request after the handshake is refused with this code and a sentence that mentions."""
    session = await Session().running()
    code, sentence = await session.error(method, params)
    assert code == expected
    assert mentions in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


async def assert_raw_refused(body: bytes, expected: int) -> None:
    """A body that is no request is refused, with id null, and the session goes on."""
    session = await Session().running()
    session.receive(body)
    [reply] = session.replies(None)
    assert reply["error"]["code"] == expected
    assert await session.result("echo/plain", "alive") == "alive"


# --- messages that are none ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"a":}', b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 5000]
)
async def test_what_is_not_json_is_a_parse_error(body: bytes) -> None:
    await assert_raw_refused(body, -32700)


@pytest.mark.parametrize(
    "message",
    [
        [{"jsonrpc": "2.0", "id": 1, "method": "echo/plain"}],
        [],
        5,
        None,
        "text",
        {},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": None, "method": "echo/plain"},
        {"jsonrpc": "2.0", "id": [1], "method": "echo/plain"},
        {"jsonrpc": "2.0", "id": True, "method": "echo/plain"},
        {"jsonrpc": "2.0", "method": 7},
    ],
)
async def test_what_is_no_request_is_an_invalid_request(message: Any) -> None:
    await assert_raw_refused(json.dumps(message).encode(), -32600)


@pytest.mark.parametrize(
    "message", [{"id": 77, "method": "echo/plain"}, {"jsonrpc": "2.0", "id": 77, "method": {}}]
)
async def test_a_broken_request_is_refused_under_its_id(message: Any) -> None:
    session = await Session().running()
    session.say(message)
    [reply] = session.replies(77)
    assert reply["error"]["code"] == -32600


async def test_an_object_holding_jsonrpc_is_plain_data() -> None:
    """pygls took every object with this key for a message, and the request got no reply."""
    session = await Session().running()
    nested = {"inner": {"jsonrpc": "2.0", "id": 5, "method": "x"}}
    assert await session.result("echo/plain", nested) == nested


async def test_half_an_emoji_survives() -> None:
    session = await Session().running()
    assert await session.result("echo/plain", "\ud83d") == "\ud83d"


# --- requests that can't be taken ---------------------------------------------------------------


async def test_invalid_params_are_refused_by_name_of_the_field() -> None:
    broken = {**INLINE, "position": {"line": 0, "character": "x"}}
    await assert_refused("textDocument/inlineCompletion", broken, -32602, "'position.character'")
    await assert_refused("textDocument/inlineCompletion", {}, -32602, "'context'")
    await assert_refused("textDocument/inlineCompletion", None, -32602, "'context'")
    await assert_refused("textDocument/inlineCompletion", [USER_CODE], -32602, "inlineCompletion")


async def test_values_are_not_quietly_converted() -> None:
    broken = {**INLINE, "textDocument": {"uri": 5}}
    await assert_refused("textDocument/inlineCompletion", broken, -32602, "'textDocument.uri'")
    whole = {**INLINE, "position": {"line": 0.0, "character": 0.0}}
    session = await Session().running()
    assert "result" in await session.call("textDocument/inlineCompletion", whole)


async def test_unknown_methods_are_refused_and_unknown_notifications_ignored() -> None:
    await assert_refused("no/such", {}, -32601, "no/such")
    await assert_refused("$/noSuch", {}, -32601, "$/noSuch")
    session = await Session().running()
    before = len(session.sent)
    session.notify("$/optional", {"a": 1})
    session.notify("no/such", {"a": 1})
    assert len(session.sent) == before


async def test_requests_before_initialize_are_refused_and_notifications_dropped() -> None:
    session = Session()
    session.open("file:///a.py", "x")
    assert (await session.error("echo/plain"))[0] == -32002
    assert (await session.error("shutdown"))[0] == -32002
    await session.running()
    assert (await session.result("echo/state"))["documents"] == []


async def test_a_second_initialize_is_refused() -> None:
    session = await Session().running()
    assert (await session.error("initialize", INITIALIZE))[0] == -32600


async def test_initialize_can_be_tried_again_after_a_failure() -> None:
    session = Session()
    assert (await session.error("initialize", {"capabilities": 5}))[0] == -32602
    assert (await session.error("echo/plain"))[0] == -32002
    await session.running()


async def test_after_shutdown_only_exit_is_taken() -> None:
    session = await Session().running()
    assert await session.result("shutdown") is None
    assert (await session.error("echo/plain"))[0] == -32600
    assert (await session.error("shutdown"))[0] == -32600
    assert (await session.error("initialize", INITIALIZE))[0] == -32600
    session.notify("exit")
    assert session.left == [0]


async def test_exit_without_shutdown_is_a_failure() -> None:
    session = await Session().running()
    session.notify("exit")
    assert session.left == [1]


async def test_an_id_in_use_is_refused() -> None:
    session = await Session().running()
    message = {"jsonrpc": "2.0", "id": "same", "method": "echo/sleep"}
    session.say(message)
    session.say(message)
    [reply] = session.replies("same")
    assert reply["error"]["code"] == -32600
    session.notify("$/cancelRequest", {"id": "same"})
    assert session.replies("same")[1]["error"]["code"] == -32800


# --- handlers that fail -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["echo/fail", "echo/failLater"])
async def test_a_failing_handler_tells_the_editor_nothing_but_where_to_look(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No traceback, no path, nothing of the exception, no `data`."""
    session = await Session().running()
    code, sentence = await session.error(method)
    assert code == -32603
    assert "codegeex-lsp.log" in sentence
    assert USER_CODE not in sentence
    assert "/" not in sentence
    assert "File" not in sentence
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]
    assert all(m.get("method") != "window/showMessage" for m in session.sent)


@pytest.mark.parametrize("params", ["object", "nan"])
async def test_a_result_that_cannot_be_sent_is_an_internal_error(params: str) -> None:
    await assert_refused("echo/unsendable", params, -32603, "log")


async def test_an_error_of_the_tree_is_sent_as_it_is() -> None:
    await assert_refused("echo/refuse", None, -32602, "The document moved on.")


# --- cancellation -------------------------------------------------------------------------------


async def test_a_cancelled_request_is_answered_at_once_and_once() -> None:
    session = await Session().running()
    id = session.request("echo/sleep")
    await session.until("echo/started")
    session.notify("$/cancelRequest", {"id": id})
    assert session.replies(id)[0]["error"]["code"] == -32800
    await asyncio.sleep(0.01)
    assert len(session.replies(id)) == 1


async def test_a_handler_that_swallows_its_cancellation_sends_nothing_more() -> None:
    session = await Session().running()
    id = session.request("echo/stubborn")
    await session.until("echo/started")
    session.notify("$/cancelRequest", {"id": id})
    await session.until("echo/cleaning")
    await asyncio.sleep(0.01)
    assert [reply["error"]["code"] for reply in session.replies(id)] == [-32800]


async def test_cancelling_a_command_stops_it() -> None:
    """pygls answered the client but let the coroutine run to its end."""
    session = await Session().running()
    id = session.request("workspace/executeCommand", {"command": "echo.sleep", "arguments": []})
    await session.until("echo/started")
    session.notify("$/cancelRequest", {"id": id})
    await session.until("echo/stopped")
    assert [reply["error"]["code"] for reply in session.replies(id)] == [-32800]


@pytest.mark.parametrize("params", [None, {}, {"id": 999}, {"id": [1]}, [], {"id": None}])
async def test_cancelling_what_does_not_run_is_ignored(params: Any) -> None:
    session = await Session().running()
    before = len(session.sent)
    session.notify("$/cancelRequest", params)
    assert len(session.sent) == before


async def test_shutdown_with_work_in_flight_answers_all_of_it() -> None:
    """pygls failed here with "dictionary changed size during iteration"."""
    session = await Session().running()
    command = {"command": "echo.sleep", "arguments": []}
    ids = [session.request("echo/sleep") for _ in range(5)]
    ids.append(session.request("workspace/executeCommand", command))
    ids.append(session.request("echo/ask", {"seconds": 60}))
    await asyncio.sleep(0)
    assert await session.result("shutdown") is None
    await asyncio.sleep(0.01)
    for id in ids:
        assert [reply["error"]["code"] for reply in session.replies(id)] == [-32800]


# --- nothing is left behind ---------------------------------------------------------------------


async def test_a_thousand_messages_leave_nothing_behind() -> None:
    """pygls kept a future, 2 kB, per notification."""
    session = await Session().running()
    session.open("file:///a.py", "")
    for version in range(2, 502):
        identifier = {**DOCUMENT, "version": version}
        changes = {"textDocument": identifier, "contentChanges": [{"text": "x"}]}
        session.notify("textDocument/didChange", changes)
        session.notify("echo/typedNote", {"someText": "a", "inner": {"longName": "b"}})
        session.notify("$/cancelRequest", {"id": session.request("echo/sleep")})
        await session.call("echo/failLater")
    await asyncio.sleep(0.01)
    state = await session.result("echo/state")
    left = {key: state[key] for key in ("futures", "background", "questions", "tokens")}
    assert left == {"futures": 0, "background": 0, "questions": 0, "tokens": 0}


async def test_progress_tokens_are_freed_and_can_be_used_again() -> None:
    session = await Session().running()
    for number in (1, 2):
        id = session.request("echo/progress")
        question = await session.until("window/workDoneProgress/create", number)
        session.say({"jsonrpc": "2.0", "id": question["id"], "result": None})
        assert (await session.reply(id))["result"] == "done"
    values = [m["params"]["value"] for m in session.sent if m.get("method") == "$/progress"]
    assert values == [{"kind": "begin", "title": "Loading"}, {"kind": "end"}] * 2
    assert (await session.result("echo/state"))["tokens"] == 0


# --- requests of the server ---------------------------------------------------------------------


async def ask(reply: Any) -> Json:
    """What a handler's reply becomes when the client answers its question with `reply`."""
    session = await Session().running()
    id = session.request("echo/ask", {"seconds": 60})
    question = await session.until("workspace/configuration")
    session.say({"jsonrpc": "2.0", "id": question["id"], **reply})
    return await session.reply(id)


async def test_the_client_answers_a_request_of_the_server() -> None:
    settings = [{"enabled": True, "nested": {"a": [1]}}]
    assert (await ask({"result": settings}))["result"] == settings


@pytest.mark.parametrize(
    "reply", [{"error": {"code": -32601, "message": "no"}}, {"error": "odd"}, {"result": 5}]
)
async def test_a_refusal_of_the_client_is_an_error_of_the_handler(reply: Any) -> None:
    assert (await ask(reply))["error"]["code"] == -32603


async def test_a_late_answer_to_a_request_given_up_is_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """pygls raised InvalidStateError here."""
    session = await Session().running()
    id = session.request("echo/ask", {"seconds": 0.001})
    assert (await session.reply(id))["result"] == "gave up"
    session.say({"jsonrpc": "2.0", "id": 1, "result": []})
    session.say({"jsonrpc": "2.0", "id": "never asked", "result": []})
    session.say({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "?"}})
    assert await session.result("echo/plain", 1) == 1
    assert (await session.result("echo/state"))["questions"] == 0
    assert caplog.records == []
