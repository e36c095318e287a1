"""The language server class that server.py fills with handlers: sessions, documents, progress.

HardenedServer is pygls's LanguageServer with our message rules and our document store underneath.
Documents change only here, in message order, and a request sees its document as it was when the
request arrived. Knows neither stdio (transport.py) nor completions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.progress import Progress
from pygls.protocol import lsp_method

from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.lsp.rules import MessageRules
from codegeex_lsp.lsp.structuring import build_converter, structure
from codegeex_lsp.text.documents import DocumentStore, PositionEncoding, Snapshot
from codegeex_lsp.text.notebooks import Notebook, NotebookStore

if TYPE_CHECKING:
    from cattrs import Converter

logger = logging.getLogger(__name__)

Steps = Generator[Any, Any, Any]
Kind = TypeVar("Kind")

_arrived: ContextVar[Snapshot | None] = ContextVar("arrived", default=None)


class DocumentEventKind(Enum):
    OPENED = auto()
    CHANGED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class DocumentEvent:
    """What happened to a document; `snapshot` is its new state, or its last one when closed."""

    kind: DocumentEventKind
    snapshot: Snapshot


class HardenedServer(LanguageServer):
    """A language server without handlers of its own but document sync.

    `params_types` gives the attrs classes for the parameters of custom methods, whose fields in
    snake_case match camelCase JSON; a method without one gets plain dicts and lists. Handlers are
    registered as with pygls; results may be lsprotocol objects, attrs objects or plain JSON.
    Threads are not used: a handler that takes longer than a millisecond must be a coroutine.
    """

    protocol: HardenedProtocol

    def __init__(
        self,
        name: str,
        version: str,
        *,
        params_types: Mapping[str, type[Any]] | None = None,
        notebooks: types.NotebookDocumentSyncOptions | None = None,
    ) -> None:
        self.documents = DocumentStore()
        self.notebooks = NotebookStore()
        self.params_types = dict(params_types or {})
        self._listeners: list[Callable[[DocumentEvent], None]] = []
        super().__init__(
            name,
            version,
            notebook_document_sync=notebooks,
            protocol_cls=HardenedProtocol,
            converter_factory=build_converter,
        )

    @property
    def encoding(self) -> PositionEncoding:
        """What the client counts in positions; known from initialize on."""
        return self.documents.encoding

    def snapshot_for(self, params: Any) -> Snapshot | None:
        """The document that `params` names, as it was when the message now handled arrived.

        Also right after an await, when the document may have moved on. None when it is not open.
        """
        uri = _document_uri(params)
        snapshot = _arrived.get()
        return snapshot if snapshot is not None and snapshot.uri == uri else None

    def structured(self, raw: Any, kind: type[Kind], what: str) -> Kind:
        """JSON from inside a message as a `kind`. Raises InvalidParamsError naming `what`."""
        return structure(self.protocol.converter, raw, kind, what)

    def on_document(self, listener: Callable[[DocumentEvent], None]) -> None:
        """Call `listener` at once for every document opened, changed or closed from now on."""
        self._listeners.append(listener)

    def announce(self, kind: DocumentEventKind, snapshot: Snapshot | None) -> None:
        """Tell the listeners; one that fails keeps neither the others nor the sync from going."""
        if snapshot is None:
            return
        for listener in self._listeners:
            try:
                listener(DocumentEvent(kind, snapshot))
            except Exception:
                logger.exception("A document listener failed.")

    def report_server_error(self, error: Exception, source: Any) -> None:
        """pygls would show these to the user, paths and all; they go to the log."""
        logger.error("pygls reported an error.", exc_info=error)

    def _unsupported(self, *args: Any, **kwargs: Any) -> NoReturn:
        """pygls's TCP lets a second client take over the session, and its threads starve reads."""
        raise NotImplementedError("Serve with transport.run_stdio(); write handlers as coroutines.")

    start_io = start_tcp = start_ws = thread = _unsupported


class HardenedProtocol(MessageRules):
    """LSP's own methods. Each lets a handler registered for the same method run after it."""

    _server: HardenedServer

    def __init__(self, server: HardenedServer, converter: Converter) -> None:
        super().__init__(server, converter)
        self.converter = converter
        self.progress = FreeingProgress(self)

    def params_type(self, method: str) -> type[Any] | None:
        return self._server.params_types.get(method) or super().params_type(method)

    def prepare(self, params: Any) -> None:
        uri = _document_uri(params)
        _arrived.set(self._server.documents.snapshot(uri) if uri else None)

    def unreadable(self, method: str, raw: Any) -> None:
        """An edit that can't be read leaves a text that is not the client's: forget it."""
        document = raw.get("textDocument") if isinstance(raw, dict) else None
        uri = document.get("uri") if isinstance(document, dict) else None
        if method == types.TEXT_DOCUMENT_DID_CHANGE and isinstance(uri, str):
            self._close(uri)

    # --- the session ----------------------------------------------------------------------------

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Steps:
        chosen = ServerCapabilitiesBuilder.choose_position_encoding(params.capabilities)
        self._server.documents.encoding = PositionEncoding(getattr(chosen, "value", chosen))
        result = yield from super().lsp_initialize(params)
        if params.process_id is not None and self.link is not None:
            self.link.watch_parent(params.process_id)
        return result

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Steps:
        self.cancel_everything()
        yield from self._then(types.SHUTDOWN, None)

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Steps:
        if params.command not in self.fm.commands:
            raise InvalidParamsError(f"There is no command {params.command:.100}.")
        try:
            result = yield from super().lsp_workspace__execute_command(params)
        except JsonRpcInvalidParams:
            raise InvalidParamsError(f"The arguments of {params.command} don't fit.") from None
        return result

    def _then(self, method: str, params: Any) -> Steps:
        """Let the handler that was registered for `method` run, too."""
        if (handler := self.fm.features.get(method)) is not None:
            yield handler, (params,), None

    # --- documents ------------------------------------------------------------------------------

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Steps:
        self._open(params.text_document)
        yield from self._then(types.TEXT_DOCUMENT_DID_OPEN, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Steps:
        self._change(params.text_document, params.content_changes)
        yield from self._then(types.TEXT_DOCUMENT_DID_CHANGE, params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Steps:
        self._close(params.text_document.uri)
        yield from self._then(types.TEXT_DOCUMENT_DID_CLOSE, params)

    def _open(self, item: types.TextDocumentItem) -> None:
        documents = self._server.documents
        snapshot = documents.open(item.uri, item.version, item.language_id, item.text)
        self._server.announce(DocumentEventKind.OPENED, snapshot)

    def _change(self, document: types.VersionedTextDocumentIdentifier, changes: Any) -> None:
        documents = self._server.documents
        snapshot = documents.change(document.uri, document.version, convert.edits(changes))
        self._server.announce(DocumentEventKind.CHANGED, snapshot)

    def _close(self, uri: str) -> None:
        self._server.announce(DocumentEventKind.CLOSED, self._server.documents.close(uri))

    # --- notebooks ------------------------------------------------------------------------------

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def lsp_notebook_document__did_open(self, params: types.DidOpenNotebookDocumentParams) -> Steps:
        book = params.notebook_document
        opened = Notebook(book.uri, book.version, convert.cells(book.cells))
        self._server.notebooks.open(opened)
        for item in params.cell_text_documents:
            self._open(item)
        yield from self._then(types.NOTEBOOK_DOCUMENT_DID_OPEN, params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(
        self, params: types.DidChangeNotebookDocumentParams
    ) -> Steps:
        changed = params.change.cells
        if changed is not None and changed.structure is not None:
            self._change_structure(params.notebook_document, changed.structure)
        for text in (changed and changed.text_content) or ():
            self._change(text.document, text.changes)
        yield from self._then(types.NOTEBOOK_DOCUMENT_DID_CHANGE, params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def lsp_notebook_document__did_close(
        self, params: types.DidCloseNotebookDocumentParams
    ) -> Steps:
        self._server.notebooks.close(params.notebook_document.uri)
        for document in params.cell_text_documents:
            self._close(document.uri)
        yield from self._then(types.NOTEBOOK_DOCUMENT_DID_CLOSE, params)

    def _change_structure(
        self,
        notebook: types.VersionedNotebookDocumentIdentifier,
        structure: types.NotebookDocumentCellChangeStructure,
    ) -> None:
        array = structure.array
        self._server.notebooks.splice(
            notebook.uri,
            notebook.version,
            array.start,
            array.delete_count,
            convert.cells(array.cells or ()),
        )
        for item in structure.did_open or ():
            self._open(item)
        for document in structure.did_close or ():
            self._close(document.uri)


class FreeingProgress(Progress):
    """pygls's progress, whose tokens are forgotten at their end and can be used again."""

    def end(self, token: types.ProgressToken, value: types.WorkDoneProgressEnd) -> None:
        super().end(token, value)
        self.tokens.pop(token, None)


def _document_uri(params: Any) -> str | None:
    uri = getattr(getattr(params, "text_document", None), "uri", None)
    return uri if isinstance(uri, str) else None
