"""workspace/executeCommand: every action for every client; the server inserts the result itself.

A command has the name of its request with a dot, and takes the request's parameters as its only
argument.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from codegeex_lsp.handlers import docstring, explain, generate, summarise, template, translate
from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.window.errand import ActionParams
from codegeex_lsp.window.session import Session

Handle = Callable[[Session, Any], Awaitable[dict[str, Any]]]

COMMANDS: dict[str, tuple[Handle, type[ActionParams]]] = {
    "codegeex.generate": (generate.handle, generate.GenerateParams),
    "codegeex.translate": (translate.handle, translate.TranslateParams),
    "codegeex.explain": (explain.handle, explain.ExplainParams),
    "codegeex.docstring": (docstring.handle, ActionParams),
    "codegeex.summarise": (summarise.handle, ActionParams),
    "codegeex.template": (template.handle, template.TemplateParams),
}


def command(session: Session, name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The command as pygls wants it: a function of its arguments."""

    def call(*arguments: Any) -> Awaitable[dict[str, Any]]:
        return start(session, name, arguments[0] if len(arguments) == 1 else None, apply=True)

    return call


def start(session: Session, name: str, argument: Any, *, apply: bool) -> Awaitable[dict[str, Any]]:
    """Begin the action now, on the document as it is; the reply is to be awaited."""
    if name not in COMMANDS:
        raise InvalidParamsError(f"There is no command {name:.100}.")
    handle, kind = COMMANDS[name]
    params: Any = session.server.structured(argument, kind, name)
    return handle(session, attrs.evolve(params, apply=apply))
