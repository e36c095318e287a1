"""A small server on HardenedServer whose handlers are slow, failing or hanging: the transport's
tests start it as a process. Arguments: NAME=VALUE sets a constant of transport.py."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Any

import attrs

from codegeex_lsp.lsp.structuring import import_lsprotocol

# A test that imports this module shares lsprotocol's classes with others: those want them whole.
if __name__ == "__main__":
    import_lsprotocol()

from lsprotocol import types

from codegeex_lsp.config import logs
from codegeex_lsp.lsp import transport
from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.lsp.server import HardenedServer

USER_CODE = "my_own_code"


@attrs.define
class Inner:
    long_name: str
    how_many: int = 0


@attrs.define
class EchoParams:
    some_text: str
    inner: Inner
    note: str | None = None


@attrs.define
class EchoResult:
    some_text: str
    how_many: int


@attrs.define
class OfDocument:
    text_document: types.TextDocumentIdentifier


def build() -> HardenedServer:
    server = HardenedServer(
        "echo",
        "1",
        params_types={
            "echo/typed": EchoParams,
            "echo/typedNote": EchoParams,
            "echo/text": OfDocument,
            "echo/slowText": OfDocument,
        },
        notebooks=types.NotebookDocumentSyncOptions(
            notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")]
        ),
    )
    register_documents(server)
    register_slow(server)
    register_bad(server)
    register_questions(server)
    return server


def register_documents(server: HardenedServer) -> None:
    events: list[str] = []
    server.on_document(lambda event: events.append(f"{event.kind.name} {event.snapshot.version}"))
    server.on_document(lambda event: 1 / 0)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline(ls: HardenedServer, params: types.InlineCompletionParams) -> Any:
        snapshot = ls.snapshot_for(params)
        await asyncio.sleep(0)
        return [types.InlineCompletionItem(insert_text=snapshot.text() if snapshot else "")]

    @server.feature("echo/typed")
    def typed(ls: HardenedServer, params: EchoParams) -> EchoResult:
        return EchoResult(params.some_text + params.inner.long_name, params.inner.how_many)

    @server.feature("echo/typedNote")
    async def typed_note(ls: HardenedServer, params: EchoParams) -> None:
        await asyncio.sleep(0)
        ls.protocol.notify("echo/noted", {"someText": params.some_text})

    @server.feature("echo/plain")
    def plain(params: Any) -> Any:
        return params

    @server.feature("echo/text")
    def text(ls: HardenedServer, params: OfDocument) -> Any:
        snapshot = ls.snapshot_for(params)
        return snapshot and {"text": snapshot.text(), "version": snapshot.version}

    @server.feature("echo/slowText")
    async def slow_text(ls: HardenedServer, params: OfDocument) -> str | None:
        before = ls.documents.snapshot(params.text_document.uri)
        while before is not None and ls.documents.is_current(before):
            await asyncio.sleep(0.001)
        snapshot = ls.snapshot_for(params)
        return snapshot and snapshot.text()

    @server.feature("echo/state")
    def state(ls: HardenedServer, params: Any) -> Any:
        protocol = ls.protocol
        return {
            "events": events,
            "encoding": ls.encoding.value,
            "futures": len(protocol._request_futures) + len(protocol._running),
            "background": len(protocol._background),
            "questions": len(protocol._questions),
            "tokens": len(protocol.progress.tokens),
            "documents": sorted(snapshot.uri for snapshot in ls.documents),
            "pyglsDocuments": len(ls.workspace.text_documents),
            "cells": [c.uri for n in ls.notebooks._notebooks.values() for c in n.cells],
        }


def register_slow(server: HardenedServer) -> None:
    @server.feature("echo/sleep")
    async def sleep(ls: HardenedServer, params: Any) -> str:
        ls.protocol.notify("echo/started")
        await asyncio.sleep(3600)
        return "woke up"

    @server.feature("echo/stubborn")
    async def stubborn(ls: HardenedServer, params: Any) -> str:
        ls.protocol.notify("echo/started")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        ls.protocol.notify("echo/cleaning")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600 if params == "forever" else 0)
        return "never to be sent"

    @server.feature("echo/hang")
    def hang(ls: HardenedServer, params: Any) -> None:
        ls.protocol.notify("echo/started")
        time.sleep(3600)

    @server.command("echo.sleep")
    async def sleep_command(ls: HardenedServer) -> None:
        ls.protocol.notify("echo/started")
        try:
            await asyncio.sleep(3600)
        finally:
            ls.protocol.notify("echo/stopped")

    @server.command("echo.add")
    async def add(ls: HardenedServer, a: int, b: int) -> int:
        return a + b


def register_bad(server: HardenedServer) -> None:
    @server.feature("echo/fail")
    def fail(params: Any) -> None:
        raise ValueError(USER_CODE)

    @server.feature("echo/failLater")
    async def fail_later(params: Any) -> None:
        await asyncio.sleep(0)
        raise ValueError(USER_CODE)

    @server.feature("echo/refuse")
    async def refuse(params: Any) -> None:
        raise InvalidParamsError("The document moved on.")

    @server.feature("echo/unsendable")
    def unsendable(params: Any) -> Any:
        return object() if params == "object" else float("nan")

    @server.feature("echo/print")
    def stray_print(params: Any) -> str:
        print("a stray line on stdout", flush=True)
        return "printed"

    @server.feature("echo/big")
    def big(params: Any) -> str:
        return "x" * params["size"]


def register_questions(server: HardenedServer) -> None:
    @server.feature("echo/ask")
    async def ask(ls: HardenedServer, params: Any) -> Any:
        item = types.ConfigurationItem(section="codegeex")
        question = ls.workspace_configuration_async(types.ConfigurationParams([item]))
        try:
            return await asyncio.wait_for(question, params["seconds"])
        except TimeoutError:
            return "gave up"

    @server.feature("echo/progress")
    async def progress(ls: HardenedServer, params: Any) -> str:
        shown = ls.work_done_progress
        await shown.create_async("token")
        shown.begin("token", types.WorkDoneProgressBegin(title="Loading"))
        shown.end("token", types.WorkDoneProgressEnd())
        return "done"


def main() -> int:
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        setattr(transport, name, type(getattr(transport, name))(float(value)))
    logs.configure("info")
    return transport.run_stdio(build())


if __name__ == "__main__":
    sys.exit(main())
