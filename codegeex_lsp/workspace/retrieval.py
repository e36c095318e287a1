"""What the workspace knows beside the open document: search, and snippets for the model.

Joins the index's process with the documents and settings of this window. The index starts with the
first document that is opened, or the first search. Knows no LSP types. session.py owns it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from codegeex_lsp.config.settings import IndexSettings, Settings
from codegeex_lsp.exclusion.globs import Globs
from codegeex_lsp.exclusion.rule import Rule
from codegeex_lsp.files.folders import Folders
from codegeex_lsp.index.places import Place
from codegeex_lsp.runtime.client import RuntimeClient
from codegeex_lsp.runtime.remembering import Remembering
from codegeex_lsp.text import file_uris
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.workspace.index_client import NO_VECTOR, IndexClient, IndexState, NoIndexError
from codegeex_lsp.workspace.index_vectors import NOT_YET, IndexVectors
from codegeex_lsp.workspace.snippets import Snippets
from model_runtime.wire.protocol import Forget, Remember, Snippet

NO_FOLDER = "No folder is open, so there is nothing to search; open the project's folder."
OFF = 'The index of the workspace is turned off; set "codegeex.index.enabled" to true.'


class Retrieval:
    """`folders` are the workspace's, none before move()."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        runtime: RuntimeClient,
        on_state: Callable[[IndexState], None],
        admitted: Callable[[Snapshot], bool],
    ) -> None:
        """`admitted` says which open documents may be in the index."""
        self.folders = Folders(())
        self._settings = settings
        self._runtime = runtime
        self._on_state = on_state
        self._index = IndexClient(self._became)
        self.vectors = IndexVectors(runtime, self._index, lambda: self.can_start)
        self._texts = Remembering(self._tell, admitted, forgotten_after_s=0.0)
        self.snippets = Snippets(self._alike, lambda path: self.folders.shown(path))

    @property
    def state(self) -> IndexState:
        return self._index.state

    @property
    def can_start(self) -> bool:
        """Also whether one that runs may be used: it may have been turned off since."""
        settings = self._settings()
        return bool(self.folders) and settings.enabled and settings.index.enabled

    @property
    def _excluded(self) -> tuple[str, ...]:
        """The user's globs: an editor's settings, which a project may bring, add to their own."""
        return (*self._runtime.trusted.exclude, *self._settings().exclude)

    def rule(self) -> Rule:
        """What is left out as things are now."""
        roots = (*self.folders.spelled, *self.folders.real)
        return Rule(tuple(dict.fromkeys(roots)), Globs(self._excluded))

    def start(self) -> None:
        """Once; never waits. Without a folder, or turned off, nothing starts."""
        if self.can_start:
            bounds = _bounds(self._settings().index)
            self._index.start(self.folders.spelled, bounds, self._excluded)
            self.vectors.start()

    async def close(self) -> None:
        """End the index's process."""
        await self.vectors.close()
        await self._index.close()

    def move(self, folders: Folders) -> None:
        """The workspace has these folders now; nothing is told any more of what lies elsewhere."""
        self.folders = folders
        self._index.move(folders.spelled)
        self.snippets.forget_all()
        self.vectors.look()

    def names(self, uri: str) -> tuple[str, str]:
        """Of the document's folder and, inside it, of the document, as models should read them."""
        path = file_uris.to_path(uri) or ""
        root = self.folders.containing(path)
        if root is None:
            return "", file_uris.name(uri)
        return os.path.basename(root), self.folders.shown(path)

    async def search(self, question: str, limit: int, under: str) -> tuple[list[Place], str]:
        """Places for a sentence or names. `under` is a path or URI, relative to the first folder.

        With an embedding model the question's meaning counts, too, or a sentence says why it
        doesn't. Raises NoIndexError with a sentence.
        """
        self._check()
        self.start()
        vector, note = NO_VECTOR, ""
        if self.vectors.wanted:
            vector, note = await self.vectors.of_question(question)
        places, helped = await self._index.search(question, limit, self._whole(under), vector)
        return self._inside(places), note or ("" if helped or not self.vectors.wanted else NOT_YET)

    def near(self, snapshot: Snapshot, position: Position) -> tuple[Snippet, ...]:
        """The snippets for a completion that are known now."""
        return self.snippets.near(snapshot, position) if self.can_start else ()

    def _whole(self, path: str) -> str:
        path = file_uris.to_path(path) or path
        return os.path.normpath(os.path.join(self.folders.spelled[0], path)) if path else ""

    # --- what happens to files ------------------------------------------------------------------

    def document(self, snapshot: Snapshot) -> None:
        """It was opened or edited."""
        if self.can_start:
            self.start()
            self._texts.changed(snapshot)
            self.vectors.typed()

    def closed(self, uri: str) -> None:
        self.snippets.forget(uri)
        self._texts.closed(uri)

    def left_out(self, uri: str) -> None:
        """An open document must not be known any more."""
        self._texts.left_out(uri)

    def exclude(self) -> None:
        """The user's globs are others now."""
        self._index.exclude(self._excluded)

    def written(self, uris: Sequence[str]) -> None:
        """Files were written, moved or deleted."""
        self._index.changed([path for uri in uris if (path := file_uris.to_path(uri))])
        self.vectors.look()

    def _became(self, state: IndexState) -> None:
        self._on_state(state)
        self.vectors.look()

    async def _alike(self, text: str, uri: str, limit: int) -> list[Place]:
        self._check()
        return self._inside(await self._index.alike(text, file_uris.to_path(uri) or "", limit))

    def _inside(self, places: list[Place]) -> list[Place]:
        """Without those of folders that the workspace has no longer, but the index still."""
        return [place for place in places if self.folders.containing(place.path) is not None]

    async def neighbours(
        self, path: str, limit: int, opened: Sequence[str]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """As IndexClient.neighbours."""
        self._check()
        near, respelled = await self._index.neighbours(path, limit, opened)
        inside = [pair for pair in near if self.folders.containing(pair[0]) is not None]
        return inside, respelled

    def _check(self) -> None:
        """Raises NoIndexError."""
        if not self.can_start:
            raise NoIndexError(OFF if self.folders else NO_FOLDER)

    def _tell(self, message: Remember | Forget) -> None:
        path = file_uris.to_path(message.document)
        if path is None:
            return
        if isinstance(message, Remember):
            self._index.opened(path, message.text)
        else:
            self._index.closed(path)


def _bounds(settings: IndexSettings) -> dict[str, int]:
    return {
        "files": settings.max_files,
        "file_bytes": settings.max_file_size,
        "bytes": settings.max_size,
    }
