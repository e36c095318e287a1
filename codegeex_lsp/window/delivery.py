"""How the outcome of an action reaches the editor: an edit, a document of its own, or a message.

An edit goes where its lines are now, on the version they have now. When they are gone, or the
editor can't or won't take it, the result is shown instead: it is never lost and never misplaced.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsprotocol import types

from codegeex_lsp.actions import anchor
from codegeex_lsp.actions.plan import Change, Outcome, Sheet
from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import ClientRefusedError, ContentModifiedError
from codegeex_lsp.lsp.server import HardenedServer
from codegeex_lsp.text import file_uris
from codegeex_lsp.text.documents import Snapshot

# The document may move on again while an edit is on its way.
TRIES = 3
MESSAGE_CHARS = 2000
LABEL = "CodeGeeX"

MOVED = "The code changed while the model worked on it, so nothing was inserted."
NO_EDITS = "Your editor takes no edits from a server, so nothing was inserted."
REFUSED = "The editor did not take the edit (is the file read-only?), so nothing was inserted."
CLOSED = "The document was closed while the model worked on it."


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a request for an action is answered with. `edit` is for the document as it is now."""

    text: str
    applied: bool = False
    edit: types.WorkspaceEdit | None = None
    document: str | None = None
    message: str = ""

    def reply(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "applied": self.applied,
            "edit": self.edit,
            "document": self.document,
            "message": self.message,
        }


class Delivery:
    """Brings outcomes to one editor."""

    def __init__(self, server: HardenedServer) -> None:
        self._server = server
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = itertools.count(1)

    async def bring(self, outcome: Outcome) -> Delivered:
        """Insert or show it. Raises ContentModifiedError when its document was closed."""
        if isinstance(outcome, Sheet):
            return await self._show(outcome, outcome.note)
        text = "\n".join(outcome.lines)
        for _ in range(TRIES):
            current = self._current(outcome)
            placed = anchor.moved(outcome, current)
            if placed is None:
                return await self._show(_sheet(outcome), MOVED)
            edit = self._edit(placed)
            if not self._takes_edits:
                shown = await self._show(_sheet(outcome), NO_EDITS)
                return Delivered(text, False, edit, shown.document, shown.message)
            if await self._apply(edit):
                self._say(outcome.note)
                return Delivered(text, True, edit, None, outcome.note)
            if self._server.documents.is_current(current):
                break
        return await self._show(_sheet(outcome), REFUSED)

    def describe(self, outcome: Outcome) -> Delivered:
        """The same for a client that does it by itself: nothing is inserted or shown."""
        if isinstance(outcome, Sheet):
            return Delivered(outcome.text, message=outcome.note)
        placed = anchor.moved(outcome, self._current(outcome))
        edit = self._edit(placed) if placed else None
        message = outcome.note if placed else MOVED
        return Delivered("\n".join(outcome.lines), edit=edit, message=message)

    def close(self) -> None:
        """Remove the documents that were shown."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()
            self._folder = None

    # --- edits ----------------------------------------------------------------------------------

    def _current(self, change: Change) -> Snapshot:
        current = self._server.documents.snapshot(change.passage.snapshot.uri)
        if current is None:
            raise ContentModifiedError(CLOSED)
        return current

    @property
    def _takes_edits(self) -> bool:
        workspace = self._server.client_capabilities.workspace
        return bool(workspace and workspace.apply_edit)

    def _edit(self, change: Change) -> types.WorkspaceEdit:
        """With the document's version where the client understands that."""
        snapshot = change.passage.snapshot
        replacement = convert.Replacement(*change.edit())
        edit = convert.text_edit(replacement, snapshot, self._server.encoding)
        workspace = self._server.client_capabilities.workspace
        about = workspace.workspace_edit if workspace else None
        if about is None or not about.document_changes:
            return types.WorkspaceEdit(changes={snapshot.uri: [edit]})
        document = types.OptionalVersionedTextDocumentIdentifier(snapshot.uri, snapshot.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(document, [edit])])

    async def _apply(self, edit: types.WorkspaceEdit) -> bool:
        params = types.ApplyWorkspaceEditParams(edit, label=LABEL)
        try:
            answer = await self._server.workspace_apply_edit_async(params)
        except ClientRefusedError:
            return False
        return bool(answer and answer.applied)

    # --- documents and messages -----------------------------------------------------------------

    async def _show(self, sheet: Sheet, message: str) -> Delivered:
        """Open it beside; in an editor that can't, say it in a message."""
        uri = await self._open(sheet)
        if uri is None:
            self._say(f"{message} {sheet.text[:MESSAGE_CHARS]}".strip())
        elif message:
            self._say(f"{message} The result is open beside." if message in _MISSED else message)
        return Delivered(sheet.text, document=uri, message=message)

    async def _open(self, sheet: Sheet) -> str | None:
        window = self._server.client_capabilities.window
        if not (window and window.show_document and window.show_document.support):
            return None
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="codegeex-")
        path = Path(self._folder.name) / f"result-{next(self._numbers)}{sheet.suffix}"
        path.write_text(sheet.text, "utf-8", "surrogatepass")
        try:
            answer = await self._server.window_show_document_async(
                types.ShowDocumentParams(path.as_uri(), take_focus=False)
            )
        except ClientRefusedError:
            return None
        return path.as_uri() if answer and answer.success else None

    def _say(self, message: str) -> None:
        if message:
            shown = types.ShowMessageParams(types.MessageType.Info, f"CodeGeeX: {message}")
            self._server.window_show_message(shown)


_MISSED = (MOVED, NO_EDITS, REFUSED)


def _sheet(change: Change) -> Sheet:
    """A change that found no place, as a document: what would have been inserted."""
    uri = change.passage.snapshot.uri
    stem, dot, suffix = file_uris.name(uri).rpartition(".")
    return Sheet("\n".join(change.lines) + "\n", f".{suffix}" if stem and dot else ".txt")
