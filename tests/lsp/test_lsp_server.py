"""Sessions and documents: what is agreed in initialize, and what a request sees of its document."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from echo_server import USER_CODE
from session import Json, Session

from codegeex_lsp.text.documents import Position

URI = "file:///a.py"
POSITION = {"line": 0, "character": 0}


def changed(version: int, *changes: Json) -> Json:
    return {"textDocument": {"uri": URI, "version": version}, "contentChanges": list(changes)}


def insert(line: int, character: int, text: str) -> Json:
    place = {"line": line, "character": character}
    return {"range": {"start": place, "end": place}, "text": text}


async def capabilities(client: Json) -> Json:
    parameters = {"processId": None, "rootUri": None, "capabilities": client}
    result = await Session().result("initialize", parameters)
    return result["capabilities"]  # type: ignore[no-any-return]


# --- initialize ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        (None, "utf-16"),
        ([], "utf-16"),
        (["utf-8", "utf-16"], "utf-8"),
        (["utf-32", "utf-8"], "utf-32"),
        (["utf-7", "utf-16"], "utf-16"),
        (["utf-7"], "utf-16"),
    ],
)
async def test_the_first_known_position_encoding_is_taken(offers: Any, chosen: str) -> None:
    client = {"general": {"positionEncodings": offers}} if offers is not None else {}
    assert (await capabilities(client))["positionEncoding"] == chosen
    session = await Session().running(client)
    assert (await session.result("echo/state"))["encoding"] == chosen
    session.open(URI, "漢😀x")
    unit = {"utf-8": 7, "utf-16": 3, "utf-32": 2}[chosen]
    session.notify("textDocument/didChange", changed(2, insert(0, unit, "|")))
    assert (await session.result("echo/text", {"textDocument": {"uri": URI}}))["text"] == "漢😀|x"


async def test_document_sync_and_inline_completion_are_advertised() -> None:
    advertised = await capabilities({})
    assert advertised["textDocumentSync"]["openClose"] is True
    assert advertised["textDocumentSync"]["change"] == 2
    assert advertised["inlineCompletionProvider"] == {}
    assert "notebookDocumentSync" not in advertised
    with_notebooks = await capabilities({"notebookDocument": {"synchronization": {}}})
    assert with_notebooks["notebookDocumentSync"] == {"notebookSelector": [{"notebook": "*"}]}


@pytest.mark.parametrize(
    "client",
    [
        {"textDocument": {"publishDiagnostics": {"tagSupport": {"valueSet": [1, 2, 99]}}}},
        {"textDocument": {"completion": {"completionItem": {"tagSupport": {"valueSet": [99]}}}}},
        {"textDocument": {"codeAction": 5}, "workspace": {"workspaceEdit": []}},
        {"general": {"positionEncodings": "utf-8"}},
        {"textDocument": 5, "workspace": "x", "window": {"workDoneProgress": "yes"}},
        {"unheardOf": {"a": [1]}},
    ],
)
async def test_odd_capabilities_do_not_keep_a_client_out(client: Json) -> None:
    """Visual Studio sends diagnostic tags of its own; pygls then never answered."""
    assert (await capabilities(client))["textDocumentSync"]["change"] == 2


async def test_only_the_odd_capability_is_left_out() -> None:
    item = {"tagSupport": {"valueSet": [1, 99]}, "snippetSupport": True}
    session = await Session().running({"textDocument": {"completion": {"completionItem": item}}})
    completion = session.server.client_capabilities.text_document.completion  # type: ignore[union-attr]
    assert completion is not None
    assert completion.completion_item is not None
    assert completion.completion_item.snippet_support is True
    assert list(completion.completion_item.tag_support.value_set) == [1]  # type: ignore[union-attr]


async def test_the_parent_process_is_watched() -> None:
    session = Session()
    await session.result("initialize", {"processId": 4711, "capabilities": {}, "trace": "odd"})
    assert session.watched == [4711]


async def test_diagnostics_with_unknown_tags_do_not_cost_the_request() -> None:
    session = await Session().running()
    place = {"start": POSITION, "end": POSITION}
    session.server.feature("textDocument/codeAction")(lambda params: [])
    diagnostic = {"range": place, "message": "m", "tags": [1, 99]}
    context = {"diagnostics": [diagnostic]}
    action = {"textDocument": {"uri": URI}, "range": place, "context": context}
    assert await session.result("textDocument/codeAction", action) == []


# --- documents ----------------------------------------------------------------------------------


async def test_a_request_sees_its_document_as_it_was_when_it_arrived() -> None:
    """The coroutine starts only after the change was applied; it waits until it sees that."""
    session = await Session().running()
    session.open(URI, "one")
    document = {"textDocument": {"uri": URI}}
    slow = session.request("echo/slowText", document)
    inline = session.request(
        "textDocument/inlineCompletion",
        {**document, "position": POSITION, "context": {"triggerKind": 2}},
    )
    session.notify("textDocument/didChange", changed(2, insert(0, 3, " two")))
    later = session.request("echo/text", document)
    await asyncio.sleep(0.01)
    session.notify("textDocument/didChange", changed(3, insert(0, 0, "zero ")))
    assert (await session.reply(inline))["result"] == [{"insertText": "one"}]
    assert (await session.reply(slow))["result"] == "one"
    assert (await session.reply(later))["result"] == {"text": "one two", "version": 2}


async def test_a_request_for_a_document_that_is_not_open_sees_none() -> None:
    session = await Session().running()
    session.open("file:///other.py", "x")
    assert await session.result("echo/text", {"textDocument": {"uri": URI}}) is None


async def test_documents_live_in_our_store_only_and_listeners_hear_of_them() -> None:
    session = await Session().running()
    session.open(URI, "a\x0cb\n")
    whole = {"text": "whole\n"}
    session.notify(
        "textDocument/didChange", changed(5, insert(1, 0, "c"), whole, insert(0, 5, "!"))
    )
    text = await session.result("echo/text", {"textDocument": {"uri": URI}})
    assert text == {"text": "whole!\n", "version": 5}
    session.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    state = await session.result("echo/state")
    assert state["pyglsDocuments"] == 0
    assert state["documents"] == []
    # The other listener fails each time.
    assert state["events"] == ["OPENED 1", "CHANGED 5", "CLOSED 5"]


async def test_a_change_of_an_unopened_document_says_nothing_to_the_user() -> None:
    session = await Session().running()
    before = len(session.sent)
    session.notify("textDocument/didChange", changed(2, insert(0, 0, "x")))
    session.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert len(session.sent) == before


async def test_an_edit_that_cannot_be_read_closes_the_document(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its text would no longer be the client's; requests then see none instead of a wrong one."""
    session = await Session().running()
    session.open(URI, USER_CODE)
    with caplog.at_level(logging.DEBUG):
        broken = {"range": {"start": {"line": 0}}, "text": USER_CODE}
        session.notify("textDocument/didChange", changed(2, broken))
    assert await session.result("echo/text", {"textDocument": {"uri": URI}}) is None
    assert "contentChanges" in caplog.text
    assert USER_CODE not in caplog.text


async def test_a_handler_for_document_sync_runs_after_it() -> None:
    session = await Session().running()
    seen: list[str] = []

    @session.server.feature("textDocument/didOpen")
    def did_open(params: Any) -> None:
        snapshot = session.server.documents.snapshot(params.text_document.uri)
        assert snapshot is not None
        seen.append(snapshot.prefix(Position(0, 2), 10))

    session.open(URI, "text")
    assert seen == ["te"]


# --- notebooks ----------------------------------------------------------------------------------


async def test_cells_of_a_notebook_are_documents() -> None:
    session = await Session().running()
    item = {"languageId": "python", "version": 1}
    book = {
        "uri": "file:///n.ipynb",
        "notebookType": "jupyter",
        "version": 1,
        "cells": [{"kind": 2, "document": "cell:1"}, {"kind": 1, "document": "cell:2"}],
    }
    texts = [{**item, "uri": "cell:1", "text": "a = 1"}, {**item, "uri": "cell:2", "text": "prose"}]
    opened = {"notebookDocument": book, "cellTextDocuments": texts}
    session.notify("notebookDocument/didOpen", opened)
    structure = {
        "array": {"start": 1, "deleteCount": 1, "cells": [{"kind": 2, "document": "cell:3"}]},
        "didOpen": [{**item, "uri": "cell:3", "text": "b = 2"}],
        "didClose": [{"uri": "cell:2"}],
    }
    edit = {"document": {"uri": "cell:1", "version": 2}, "changes": [insert(0, 5, "0")]}
    change = {"cells": {"structure": structure, "textContent": [edit]}}
    identifier = {"uri": "file:///n.ipynb", "version": 2}
    session.notify("notebookDocument/didChange", {"notebookDocument": identifier, "change": change})
    assert (await session.result("echo/text", {"textDocument": {"uri": "cell:1"}}))[
        "text"
    ] == "a = 10"
    state = await session.result("echo/state")
    assert state["cells"] == state["documents"] == ["cell:1", "cell:3"]
    notebook = session.server.notebooks.containing("cell:3")
    assert notebook is not None
    assert [cell.uri for cell in notebook.before("cell:3")] == ["cell:1"]
    closed = {
        "notebookDocument": {"uri": "file:///n.ipynb"},
        "cellTextDocuments": [{"uri": "cell:1"}, {"uri": "cell:3"}],
    }
    session.notify("notebookDocument/didClose", closed)
    state = await session.result("echo/state")
    assert (state["cells"], state["documents"], state["pyglsDocuments"]) == ([], [], 0)


# --- custom methods and commands ----------------------------------------------------------------


async def test_custom_methods_are_typed() -> None:
    session = await Session().running()
    params = {"someText": "a", "inner": {"longName": "b", "howMany": 3}, "more": 1}
    assert await session.result("echo/typed", params) == {"someText": "ab", "howMany": 3}
    session.notify("echo/typedNote", params)
    assert (await session.until("echo/noted"))["params"] == {"someText": "a"}
    code, sentence = await session.error("echo/typed", {"someText": "a", "inner": {}})
    assert (code, "'inner.longName'" in sentence) == (-32602, True)


async def test_commands_take_arguments() -> None:
    session = await Session().running()

    async def run(command: str, arguments: Any) -> Json:
        params = {"command": command, "arguments": arguments}
        return await session.call("workspace/executeCommand", params)

    assert (await run("echo.add", [1, 2]))["result"] == 3
    assert (await run("echo.add", [1]))["error"]["code"] == -32602
    assert (await run("echo.add", [1, "x"]))["error"]["code"] == -32602
    assert (await run("no.such", []))["error"]["code"] == -32602


@pytest.mark.parametrize("name", ["start_io", "start_tcp", "start_ws", "thread"])
def test_what_is_unsafe_in_pygls_is_not_offered(name: str) -> None:
    """A second TCP client took over the first one's session; threads starved the reading."""
    with pytest.raises(NotImplementedError, match="run_stdio"):
        getattr(Session().server, name)("127.0.0.1", 0)
