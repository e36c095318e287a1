"""Which open and lately open documents the runtime is told of, and when.

A change is only noted; the texts go out together once the editor has been quiet for a while, a few
at a time, so that neither a keystroke nor opening 10,000 files ever waits for it. A closed document
is forgotten some minutes later. Knows no LSP types and keeps no text itself. session.py feeds it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from codegeex_lsp.text.documents import Snapshot
from model_runtime.wire.protocol import MAX_REMEMBERED_CHARS, Forget, Remember

# Since the last change; a document one types in is asked about with its own text anyway.
QUIET_S = 1.0
# So many texts go out in a row, and no more behind so many characters: to look for secrets in
# 400,000 takes 20 ms.
AT_ONCE = 8
CHARACTERS_AT_ONCE = 100_000
BETWEEN_S = 0.02
# The runtime keeps as many documents of a window.
MAX_DOCUMENTS = 256
# A file that was closed is often looked at again, and what is written next often resembles it.
FORGOTTEN_AFTER_S = 600.0


class Remembering:
    """`send` gives a message to the runtime or drops it; `wanted` says which documents may go."""

    def __init__(
        self,
        send: Callable[[Remember | Forget], None],
        wanted: Callable[[Snapshot], bool],
        *,
        quiet_s: float = QUIET_S,
        forgotten_after_s: float = FORGOTTEN_AFTER_S,
    ) -> None:
        self._send = send
        self._wanted = wanted
        self._quiet_s = quiet_s
        self._forgotten_after_s = forgotten_after_s
        self._waiting: OrderedDict[str, Snapshot] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: dict[str, asyncio.TimerHandle] = {}

    def changed(self, snapshot: Snapshot) -> None:
        """A document was opened or edited: its newest state goes out when the editor is quiet."""
        self._stay(snapshot.uri)
        self._waiting[snapshot.uri] = snapshot
        self._waiting.move_to_end(snapshot.uri)
        if len(self._waiting) > MAX_DOCUMENTS:
            self._waiting.popitem(last=False)
        self._after(self._quiet_s)

    def closed(self, uri: str) -> None:
        """Forget the document, but not at once."""
        self._stay(uri)
        loop = asyncio.get_running_loop()
        self._closed[uri] = loop.call_later(self._forgotten_after_s, self._forget, uri)

    def left_out(self, uri: str) -> None:
        """An open document must not be known any more: now, not when the editor is quiet."""
        self._stay(uri)
        self._forget(uri)

    def forget_closed(self) -> None:
        """What lets a document be known has changed, and nobody looks at the closed ones again."""
        for uri in list(self._closed):
            self.left_out(uri)

    def _stay(self, uri: str) -> None:
        if (timer := self._closed.pop(uri, None)) is not None:
            timer.cancel()

    def _forget(self, uri: str) -> None:
        self._closed.pop(uri, None)
        self._waiting.pop(uri, None)
        self._send(Forget(uri))

    def _after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._send_some)

    def _send_some(self) -> None:
        self._timer = None
        texts = characters = 0
        while self._waiting and texts < AT_ONCE and characters < CHARACTERS_AT_ONCE:
            uri, snapshot = self._waiting.popitem(last=False)
            texts += 1
            if snapshot.size <= MAX_REMEMBERED_CHARS and self._wanted(snapshot):
                characters += snapshot.size
                self._send(Remember(uri, _unix(snapshot.text())))
            else:
                self._send(Forget(uri))
        if self._waiting:
            self._after(BETWEEN_S)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
