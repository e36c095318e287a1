"""An editor for tests: a Wire whose documents have a cursor and are typed into.

editor.begin()
file = editor.file("x = ‸")
file.type("f")
file.ask()         # the items of textDocument/inlineCompletion
file.why()
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from marked import MARK
from wire import Json, Wire, at, change_at

INLINE = {"textDocument": {"inlineCompletion": {"dynamicRegistration": False}}}
INVOKED, AUTOMATIC = 1, 2
METHOD = "textDocument/inlineCompletion"

UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "utf-16": lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2,
    "utf-32": len,
}


class Editor(Wire):
    """One window of an editor that shows ghost text, unless other capabilities are given."""

    encoding = "utf-16"
    _files = itertools.count(1)

    def begin(self, capabilities: Json | None = None, options: Any = None) -> Json:
        """Initialize; answers what the server offers."""
        capabilities = INLINE if capabilities is None else capabilities
        offered: Json = self.initialize(capabilities, options)["capabilities"]
        self.encoding = offered["positionEncoding"]
        return offered

    def ready(self) -> None:
        self.phase("ready")

    def phase(self, name: str) -> Json:
        """Wait for the next codegeex/status that says so."""
        status: Json = self.wait_notification("codegeex/status", lambda it: it["phase"] == name)
        return status

    def file(self, text: str, language: str = "python", name: str = "") -> File:
        """Open a document; a mark in the text is the cursor, else it is at the end."""
        before, _, after = text.partition(MARK)
        file = File(self, f"file:///project/{name or next(self._files)}", before, after)
        self.open(file.uri, before + after, language)
        return file

    def configure(self, settings: Any) -> None:
        self.notify("workspace/didChangeConfiguration", {"settings": settings})

    def told(self) -> list[str]:
        """What the user was shown as messages so far."""
        shown = [it for it in self.messages if it.get("method") == "window/showMessage"]
        return [it["params"]["message"] for it in shown]


class File:
    """An open document: the text before the cursor and the text after it."""

    def __init__(self, editor: Editor, uri: str, before: str, after: str) -> None:
        self.editor = editor
        self.uri = uri
        self.before = before
        self.after = after
        self._version = 1

    @property
    def cursor(self) -> tuple[int, int]:
        *above, line = self.before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return len(above), UNITS[self.editor.encoding](line)

    def type(self, text: str) -> None:
        self._change(self.cursor, text)
        self.before += text

    def backspace(self, count: int = 1) -> None:
        end = self.cursor
        self.before = self.before[:-count]
        self._change(end, "")

    def request(self, *, invoked: bool = False, selected: Json | None = None) -> int | str:
        """Send textDocument/inlineCompletion; answers its id."""
        return self.editor.request(METHOD, self.asking(invoked=invoked, selected=selected))

    def ask(self, *, invoked: bool = False, selected: Json | None = None) -> list[Json]:
        """The items for the cursor."""
        return self.answer(self.request(invoked=invoked, selected=selected))

    def answer(self, id: int | str) -> list[Json]:
        items: list[Json] = self.editor.wait(id)["result"]["items"]
        return items

    def texts(self, *, invoked: bool = False) -> list[str]:
        return [item["insertText"] for item in self.ask(invoked=invoked)]

    def asking(self, *, invoked: bool = False, selected: Json | None = None) -> Json:
        context: Json = {"triggerKind": INVOKED if invoked else AUTOMATIC}
        if selected is not None:
            context["selectedCompletionInfo"] = selected
        return self.place() | {"context": context}

    def place(self) -> Json:
        return {"textDocument": {"uri": self.uri}, "position": at(*self.cursor)}

    def why(self) -> Json:
        why: Json = self.editor.call("codegeex/why", {"textDocument": {"uri": self.uri}})
        return why

    def reason(self) -> str | None:
        reason: str | None = self.why()["reason"]
        return reason

    def close(self) -> None:
        self.editor.notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})

    def _change(self, end: tuple[int, int], text: str) -> None:
        self._version += 1
        self.editor.change(self.uri, self._version, change_at(self.cursor, end, text))
