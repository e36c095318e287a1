"""What one editor window's server holds beside its documents: settings, runtime link, completer,
performer of actions.

The handlers in handlers/ get the session and a message's parameters. Tells the editor what the
model is doing (codegeex/status, progress, one message when it fails) and the runtime what the
editor has seen (Activity).
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Sequence
from typing import Any

from lsprotocol import types

from codegeex_lsp.actions.performer import Performer
from codegeex_lsp.completion import context as contexts
from codegeex_lsp.completion.completer import Completer
from codegeex_lsp.config.settings import Settings
from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.exclusion.names import IGNORE_FILES
from codegeex_lsp.files.folders import Folders
from codegeex_lsp.lsp.errors import ClientRefusedError
from codegeex_lsp.lsp.server import DocumentEvent, DocumentEventKind, HardenedServer
from codegeex_lsp.runtime.client import LinkState, Phase, RuntimeClient
from codegeex_lsp.runtime.remembering import Remembering
from codegeex_lsp.text import file_uris, notebooks
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.window import work_progress
from codegeex_lsp.window.delivery import Delivery
from codegeex_lsp.window.postponed import Postponed
from codegeex_lsp.workspace.exclusions import Exclusions
from codegeex_lsp.workspace.index_client import IndexPhase, IndexState
from codegeex_lsp.workspace.neighbours import Neighbours
from codegeex_lsp.workspace.retrieval import Retrieval
from model_runtime.wire.configuration import load_trusted

STATUS_METHOD = "codegeex/status"
ACTIVITY_PAUSE_S = 1.0
# An index that is there sooner needs no progress.
INDEX_PAUSE_S = 1.0


class Session:
    """One window. `initial_settings` are what it began with; what comes later changes those."""

    def __init__(self, server: HardenedServer) -> None:
        self.server = server
        self.initial_settings = Settings()
        self.settings = self.initial_settings
        trusted, self.own_complaints = load_trusted(os.environ)
        self.complaints = list(self.own_complaints)
        self.runtime = RuntimeClient(trusted, self._on_link)
        self.retrieval = Retrieval(
            lambda: self.settings,
            self.runtime,
            self._on_index,
            lambda snapshot: self.exclusions.known(snapshot) is None,
        )
        self.exclusions = Exclusions(self.retrieval.rule, self._judged)
        self.completer = Completer(
            self.runtime,
            lambda: self.settings,
            server.documents.is_current,
            snippets=self.retrieval.near,
            names=self.retrieval.names,
            left_out=self.exclusions.of,
        )
        self.remembering = Remembering(self.runtime.remember, self._may_remember)
        self.neighbours = Neighbours(
            self.retrieval.neighbours,
            self.runtime.remember,
            lambda path: self.retrieval.folders.spell(path),
            lambda: (one.uri for one in server.documents),
        )
        self.performer = Performer(self.runtime)
        self.delivery = Delivery(server)
        self.watches = False  # the editor was asked to tell of files that change
        self.postponed: Postponed | None = None
        self.errands: dict[asyncio.Task[Any], str] = {}  # and whose document they are about
        self._tokens = itertools.count(1)
        self._progress: asyncio.Task[None] | None = None
        self._index_progress: asyncio.Task[None] | None = None
        self._index_told = IndexPhase.OFF
        self._warned = ""
        self._activity: asyncio.TimerHandle | None = None
        server.on_document(self._on_document)

    # --- telling the editor ---------------------------------------------------------------------

    def warn(self, sentence: str) -> None:
        """One sentence the user sees."""
        message = types.ShowMessageParams(types.MessageType.Warning, f"CodeGeeX: {sentence}")
        self.server.window_show_message(message)

    def status(self) -> dict[str, Any]:
        """What codegeex/status says."""
        state = self.runtime.state
        told = {"phase": state.phase.value, "message": state.message, "model": self._model()}
        if not self.retrieval.folders:
            return told
        return {**told, "index": self.retrieval.state.plain()}

    def _model(self) -> str:
        welcome = self.runtime.welcome
        return welcome.model if welcome else self.runtime.trusted.model

    def _on_link(self, state: LinkState) -> None:
        self.server.protocol.notify(STATUS_METHOD, self.status())
        if state.phase in (Phase.STARTING, Phase.LOADING):
            self._begin_progress()
        else:
            self._end_progress()
        if state.phase is Phase.READY:
            self._warned = ""
            self.retrieval.vectors.look()
            # It may be a new runtime, which knows none of them.
            for snapshot in self.server.documents:
                self.remembering.changed(snapshot)
            self.neighbours.again(self._remembered())
        elif state.phase is Phase.FAILED and state.message != self._warned:
            # Every request tries again and fails the same way; once is enough to be told.
            self._warned = state.message
            self.warn(state.message)

    def _on_index(self, state: IndexState) -> None:
        """The status is told at each change of the phase; the counts go into the progress."""
        if state.phase is self._index_told:
            return
        self._index_told = state.phase
        self.server.protocol.notify(STATUS_METHOD, self.status())
        if state.phase is IndexPhase.INDEXING and self._index_progress is None:
            self._index_progress = asyncio.create_task(self._show_indexing())
        elif state.phase is not IndexPhase.INDEXING and self._index_progress is not None:
            self._index_progress.cancel()
        if state.message and state.phase is not IndexPhase.OFF:
            self.warn(state.message)

    async def _show_indexing(self) -> None:
        """The first time only, and until the user has had enough: then there is no index."""
        title = "CodeGeeX: indexing the workspace"

        def stop() -> None:
            self._stopping = asyncio.create_task(self.retrieval.close())

        await asyncio.sleep(INDEX_PAUSE_S)
        async with work_progress.shown(self.server, title, None, stop) as tell:
            while True:
                tell(f"{self.retrieval.state.files:,} files", None)
                await asyncio.sleep(INDEX_PAUSE_S)

    def _begin_progress(self) -> None:
        window = self.server.client_capabilities.window
        if self._progress is None and window and window.work_done_progress:
            self._progress = asyncio.create_task(self._show_progress())

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.cancel()
            self._progress = None

    async def _show_progress(self) -> None:
        """From the client's consent until this task is cancelled."""
        token = f"codegeex-{next(self._tokens)}"
        progress = self.server.work_done_progress
        try:
            await progress.create_async(token)
        except ClientRefusedError:
            return
        progress.begin(token, types.WorkDoneProgressBegin(f"CodeGeeX: loading {self._model()}"))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            progress.end(token, types.WorkDoneProgressEnd())

    # --- telling the runtime --------------------------------------------------------------------

    def answered(self) -> None:
        """A request was answered: pass the tally on, at most once a second."""
        if self._activity is None:
            loop = asyncio.get_running_loop()
            self._activity = loop.call_later(ACTIVITY_PAUSE_S, self._report)

    def _report(self) -> None:
        self._activity = None
        self.runtime.report(self.completer.activity())

    # --- documents and notebooks ----------------------------------------------------------------

    def with_cells_above(self, snapshot: Snapshot, position: Position) -> tuple[Snapshot, Position]:
        """For a cell of a notebook: its text below the code above it, and the position there."""
        notebook = self.server.notebooks.containing(snapshot.uri)
        if notebook is None:
            return snapshot, position
        cells = (cell for cell in notebook.before(snapshot.uri) if cell.is_code)
        above = (self.server.documents.snapshot(cell.uri) for cell in cells)
        return notebooks.below([cell for cell in above if cell], snapshot, position)

    def _may_remember(self, snapshot: Snapshot) -> bool:
        """What gets no completions by itself isn't learned from either."""
        served = contexts.is_served(snapshot, self.settings)
        return served and self.exclusions.known(snapshot) is None

    def _on_document(self, event: DocumentEvent) -> None:
        if event.kind is DocumentEventKind.CLOSED:
            self.completer.closed(event.snapshot.uri)
            self.remembering.closed(event.snapshot.uri)
            self.retrieval.closed(event.snapshot.uri)
            self.exclusions.closed(event.snapshot.uri)
            for work, uri in self.errands.items():
                if uri == event.snapshot.uri:
                    work.cancel()
            return
        if event.kind is DocumentEventKind.CHANGED:
            self.completer.changed()
        self.retrieval.document(event.snapshot)
        self.remembering.changed(event.snapshot)
        if event.kind is DocumentEventKind.OPENED and self._may_remember(event.snapshot):
            self.neighbours.opened(event.snapshot.uri)

    def change(self, settings: Settings) -> None:
        """New settings hold from now on, also for what is remembered already."""
        if settings == self.settings:
            return
        before, self.settings = self.settings, settings
        for snapshot in self.server.documents:
            self.remembering.changed(snapshot)
            self.retrieval.document(snapshot)
        if settings.exclude != before.exclude:
            self.retrieval.exclude()
            self._look_again()
        self._forget_unopened()

    def move(self, folders: Folders) -> None:
        """The workspace has these folders now."""
        self.retrieval.move(folders)
        for snapshot in self.server.documents:
            self.retrieval.document(snapshot)
        self._look_again()
        self._forget_unopened()
        self.server.protocol.notify(STATUS_METHOD, self.status())

    def _remembered(self) -> list[str]:
        """The open documents that are learned from."""
        return [one.uri for one in self.server.documents if self._may_remember(one)]

    def written(self, uris: Sequence[str]) -> None:
        """Files were written, moved or deleted."""
        self.retrieval.written(uris)
        self.neighbours.written(uris)
        paths = (file_uris.to_path(uri) or "" for uri in uris)
        if any(os.path.basename(path) in IGNORE_FILES for path in paths):
            self._look_again()
            self._forget_unopened()

    # --- what is left out -----------------------------------------------------------------------

    def _look_again(self) -> None:
        """Other documents may be left out now than before."""
        self.exclusions.look_again(snapshot.uri for snapshot in self.server.documents)

    def _forget_unopened(self) -> None:
        """What is known of documents that aren't open, which what holds now may leave out."""
        self.remembering.forget_closed()
        self.retrieval.snippets.forget_all()
        self.neighbours.forget()
        self.neighbours.again(self._remembered())

    def _judged(self, uri: str, before: LeftOut | None) -> None:
        """A document is left out now that was not, or the other way round."""
        if (snapshot := self.server.documents.snapshot(uri)) is None:
            return
        if self.exclusions.known(snapshot) is None:
            self.remembering.changed(snapshot)
            self.retrieval.document(snapshot)
            if self._may_remember(snapshot):
                self.neighbours.opened(uri)
            return
        self.remembering.left_out(uri)
        self.retrieval.left_out(uri)
        if before is None:
            self._forget_unopened()
