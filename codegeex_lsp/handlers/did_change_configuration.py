"""workspace/didChangeConfiguration: new settings hold from the next request on.

Clients send the settings along, or null and expect to be asked (workspace/configuration).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lsprotocol import types

from codegeex_lsp.config.settings import PREFIX, from_client
from codegeex_lsp.handlers import did_change_watched_files
from codegeex_lsp.lsp.errors import ClientRefusedError
from codegeex_lsp.window.session import Session


def handle(
    session: Session, params: types.DidChangeConfigurationParams
) -> Coroutine[Any, Any, None]:
    """Settings that came along hold at once: the next message may already ask by them."""
    if params.settings is None:
        return pull(session)
    apply(session, params.settings)
    _warn(session)
    return did_change_watched_files.watch(session)


async def pull(session: Session) -> None:
    """Ask the client for our section, when it can be asked."""
    workspace = session.server.client_capabilities.workspace
    if not (workspace and workspace.configuration):
        _warn(session)
        return
    wanted = types.ConfigurationParams([types.ConfigurationItem(section=PREFIX)])
    try:
        answer = await session.server.workspace_configuration_async(wanted)
    except ClientRefusedError:
        return
    for section in answer:
        apply(session, section)
    _warn(session)
    await did_change_watched_files.watch(session)


def apply(session: Session, raw: Any) -> None:
    """Take over what is good; sentences about the rest wait in the session until it may speak.

    A client sends all of its settings each time: what it leaves out is as it was in the beginning.
    """
    if raw is None:
        return
    settings, complaints = from_client(raw, session.initial_settings)
    session.change(settings)
    session.complaints.extend(complaints)


def _warn(session: Session) -> None:
    for complaint in session.complaints:
        session.warn(complaint)
    session.complaints.clear()
