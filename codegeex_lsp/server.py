"""The language server: one table of everything it answers. Start reading here.

Each row is an LSP method, its handler in handlers/ and the options that are advertised. Document
sync is in lsp/server.py, JSON-RPC itself in lsp/rules.py.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from lsprotocol import types

from codegeex_lsp import __version__
from codegeex_lsp.handlers import (
    actions,
    candidates,
    code_action,
    code_action_resolve,
    completion,
    did_change_configuration,
    did_change_watched_files,
    did_change_workspace_folders,
    did_save,
    initialize,
    initialized,
    inline_completion,
    pull_model,
    search,
    shutdown,
    why,
)
from codegeex_lsp.lsp.server import HardenedServer
from codegeex_lsp.window.session import Session

HANDLERS: dict[str, tuple[Callable[[Session, Any], Any], Any]] = {
    types.INITIALIZE: (initialize.handle, None),
    types.INITIALIZED: (initialized.handle, None),
    types.SHUTDOWN: (shutdown.handle, None),
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: (did_change_configuration.handle, None),
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: (did_change_watched_files.handle, None),
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: (did_change_workspace_folders.handle, None),
    types.TEXT_DOCUMENT_DID_SAVE: (did_save.handle, types.SaveOptions(include_text=False)),
    # Without an options object pygls registers the handler but does not advertise it.
    types.TEXT_DOCUMENT_INLINE_COMPLETION: (
        inline_completion.handle,
        types.InlineCompletionOptions(),
    ),
    types.TEXT_DOCUMENT_COMPLETION: (completion.handle, types.CompletionOptions()),
    types.TEXT_DOCUMENT_CODE_ACTION: (code_action.handle, code_action.OPTIONS),
    types.CODE_ACTION_RESOLVE: (code_action_resolve.handle, None),
    **{method: (actions.request(name), None) for method, name in actions.REQUESTS.items()},
    candidates.METHOD: (candidates.handle, None),
    why.METHOD: (why.handle, None),
    pull_model.METHOD: (pull_model.handle, None),
    search.METHOD: (search.handle, None),
}

PARAMS_TYPES: dict[str, type[Any]] = {
    **{method: actions.ACTIONS[name][0] for method, name in actions.REQUESTS.items()},
    candidates.METHOD: candidates.CandidatesParams,
    why.METHOD: why.WhyParams,
    pull_model.METHOD: pull_model.PullModelParams,
    search.METHOD: search.SearchParams,
}

NOTEBOOKS = types.NotebookDocumentSyncOptions(
    [types.NotebookDocumentFilterWithNotebook(notebook="*")]
)


def build() -> HardenedServer:
    """The server, ready for a transport."""
    server = HardenedServer(
        "codegeex-lsp", __version__, params_types=PARAMS_TYPES, notebooks=NOTEBOOKS
    )
    session = Session(server)
    for method, (handler, options) in HANDLERS.items():
        server.feature(method, options)(_with_session(handler, session))
    for name in actions.COMMANDS:
        server.command(name)(actions.command(session, name))
    server.command(search.COMMAND)(search.command(session))
    return server


def _with_session(handler: Callable[[Session, Any], Any], session: Session) -> Callable[[Any], Any]:
    """The handler as pygls wants it: a function of the parameters, async when the handler is."""
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call_later(params: Any = None) -> Any:
            return await handler(session, params)

        return call_later

    @functools.wraps(handler)
    def call(params: Any = None) -> Any:
        return handler(session, params)

    return call
