"""codeAction/resolve: the edit of an action, for clients that can't be sent edits otherwise."""

from __future__ import annotations

from lsprotocol import types

from codegeex_lsp.handlers import actions
from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.window.session import Session


async def handle(session: Session, params: types.CodeAction) -> types.CodeAction:
    """An action that needs nothing more comes back as it is."""
    data = params.data
    if data is None:
        return params
    if not isinstance(data, dict) or not isinstance(data.get("command"), str):
        raise InvalidParamsError("The data of this code action is not ours.")
    done = await actions.start(session, data["command"], data.get("arguments"), apply=False)
    params.edit = done.get("edit")
    return params
