"""A HardenedServer in this process, with a list where its transport would be."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from echo_server import build

Json = dict[str, Any]


class Session:
    """What the test sends is handled at once, in order; `sent` is what a client would get."""

    def __init__(self) -> None:
        self.sent: list[Json] = []
        self.left: list[int] = []
        self.watched: list[int] = []
        self.server = build()
        self.server.protocol.link = self
        self._id = 0

    # --- the transport's side -------------------------------------------------------------------

    def send(self, body: bytes) -> None:
        self.sent.append(json.loads(body))

    def leave(self, code: int) -> None:
        self.left.append(code)

    def watch_parent(self, process_id: int) -> None:
        self.watched.append(process_id)

    # --- the client's side ----------------------------------------------------------------------

    def receive(self, body: bytes) -> None:
        self.server.protocol.receive(body)

    def say(self, message: Any) -> None:
        self.receive(json.dumps(message).encode())

    def notify(self, method: str, params: Any = None) -> None:
        self.say({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Any = None) -> int:
        self._id += 1
        self.say({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        return self._id

    def replies(self, id: int | str | None) -> list[Json]:
        return [m for m in self.sent if "method" not in m and m.get("id") == id]

    async def reply(self, id: int) -> Json:
        """The one reply to a request, after letting the loop run until it is there."""
        while not self.replies(id):
            await asyncio.sleep(0)
        [reply] = self.replies(id)
        return reply

    async def until(self, method: str, times: int = 1) -> Json:
        """The server's message with this method, the `times`-th, after letting the loop run."""
        while len(found := [m for m in self.sent if m.get("method") == method]) < times:
            await asyncio.sleep(0)
        return found[times - 1]

    async def call(self, method: str, params: Any = None) -> Json:
        return await self.reply(self.request(method, params))

    async def result(self, method: str, params: Any = None) -> Any:
        return (await self.call(method, params))["result"]

    async def error(self, method: str, params: Any = None) -> tuple[int, str]:
        error = (await self.call(method, params))["error"]
        assert set(error) == {"code", "message"}
        return error["code"], error["message"]

    async def running(self, capabilities: Any = None) -> Session:
        """Past the handshake."""
        parameters = {"processId": None, "rootUri": None, "capabilities": capabilities or {}}
        await self.result("initialize", parameters)
        self.notify("initialized", {})
        return self

    def open(self, uri: str, text: str) -> None:
        item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
