"""An editor that carries out edits and shows documents, for tests of the actions.

    editor.begin()                       # with all capabilities that actions can use
    page = editor.page("«x = 1»\n", "a.py")
    page.run("codegeex.translate", targetLanguage="Go")
    page.text                            # what the document says now

The marks « and » are the selection, ‸ alone is the cursor.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from editor import UNITS, Editor
from wire import Json, at

FULL: Json = {
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    "textDocument": {
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
            "disabledSupport": True,
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        }
    },
}
START, END, CURSOR = "«", "»", "‸"


def without(section: str, name: str) -> Json:
    """FULL without one capability."""
    less: Json = json.loads(json.dumps(FULL))
    del less[section][name]
    return less


class ActingEditor(Editor):
    """`read_only` refuses edits; `before_edit` is called before one is carried out."""

    def __init__(self, **more: Any) -> None:
        self.pages: dict[str, Page] = {}
        self.read_only = False
        self.shown: list[str] = []
        super().__init__(**more)
        self.answers["workspace/applyEdit"] = self._apply
        self.answers["window/showDocument"] = self._show

    def begin(self, capabilities: Json | None = None, options: Any = None) -> Json:
        return super().begin(FULL if capabilities is None else capabilities, options)

    def forget(self) -> None:
        """As if nothing had been said and shown so far."""
        for heard in (self.messages, self._untaken, self.shown):
            heard.clear()
        self.silent.clear()
        self.read_only = False

    def page(self, text: str, name: str = "", language: str = "python") -> Page:
        """Open a document; with no marks all of it is selected."""
        if CURSOR in text:
            before, after = text.split(CURSOR)
            start = end = before
        elif START in text:
            before, rest = text.split(START)
            selected, after = rest.split(END)
            start, end, after = before, before + selected, before + selected + after
            before, after = "", after
        else:
            start, end, before, after = "", text, "", text
        page = Page(self, f"file:///project/{name or next(self._files)}", before + after)
        page.range = {"start": page.place(start), "end": page.place(end)}
        self.pages[page.uri] = page
        self.open(page.uri, page.text, language)
        return page

    def progress(self, token: int | str | None = None) -> list[Json]:
        """What was said on a progress token, on all of them without one."""
        said = [it["params"] for it in self.messages if it.get("method") == "$/progress"]
        return [it["value"] for it in said if token is None or it["token"] == token]

    def _apply(self, params: Json) -> Json:
        edit = params["edit"]
        for change in edit.get("documentChanges", ()):
            document = change["textDocument"]
            if self.read_only or self.pages[document["uri"]].version != document["version"]:
                return {"applied": False}
        self.carry_out(edit)
        return {"applied": True}

    def carry_out(self, edit: Json) -> None:
        changes = [
            (it["textDocument"]["uri"], it["edits"]) for it in edit.get("documentChanges", ())
        ]
        for uri, edits in [*changes, *edit.get("changes", {}).items()]:
            for one in reversed(edits):
                self.pages[uri].edit(one["range"], one["newText"])

    def _show(self, params: Json) -> Json:
        self.shown.append(Path(unquote(urlparse(params["uri"]).path)).read_text("utf-8"))
        return {"success": True}


class Page:
    """An open document and its selection."""

    def __init__(self, editor: ActingEditor, uri: str, text: str) -> None:
        self.editor = editor
        self.uri = uri
        self.text = text
        self.version = 1
        self.range: Json = {}

    def place(self, before: str) -> Json:
        """The place behind the text `before`."""
        *above, line = before.replace("\r\n", "\n").split("\n")
        return at(len(above), UNITS[self.editor.encoding](line))

    def asking(self, **more: Any) -> Json:
        return {"textDocument": {"uri": self.uri}, "range": self.range, **more}

    def run(self, command: str, **arguments: Any) -> Json:
        """Run a command to its end."""
        done: Json = self.editor.call("workspace/executeCommand", self.command(command, arguments))
        return done

    def start(self, command: str, **arguments: Any) -> int | str:
        return self.editor.request("workspace/executeCommand", self.command(command, arguments))

    def command(self, command: str, arguments: Json) -> Json:
        return {"command": command, "arguments": [self.asking(**arguments)]}

    def actions(self, **context: Any) -> list[Json]:
        asked = self.asking(context={"diagnostics": [], **context})
        actions: list[Json] = self.editor.call("textDocument/codeAction", asked)
        return actions

    def edit(self, area: Json, text: str) -> None:
        """Change the document as a user or an edit does, and tell the server."""
        start, end = self._offset(area["start"]), self._offset(area["end"])
        self.text = self.text[:start] + text + self.text[end:]
        self.version += 1
        self.editor.change(self.uri, self.version, {"range": area, "text": text})

    def insert(self, line: int, text: str) -> None:
        self.edit({"start": at(line, 0), "end": at(line, 0)}, text)

    def _offset(self, place: Json) -> int:
        lines = self.text.split("\n")[: place["line"] + 1]
        units, column = UNITS[self.editor.encoding], 0
        while units(lines[-1][:column]) < place["character"]:
            column += 1
        return sum(len(line) + 1 for line in lines[:-1]) + column
