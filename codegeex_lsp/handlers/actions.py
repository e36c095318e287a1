"""The actions, a row each: what one is asked with, and what is to be done at the place it names.

A request `codegeex/NAME` and a command `codegeex.NAME` are the same action; to a command, which
takes the request's parameters as its only argument, the server brings the result itself.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from codegeex_lsp.actions import (
    docstring,
    explain,
    generate,
    passage,
    summarise,
    template,
    templates,
    translate,
)
from codegeex_lsp.actions.plan import Refusal
from codegeex_lsp.config.settings import Placement
from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.errors import InvalidParamsError, RequestFailedError
from codegeex_lsp.text import languages
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.text.languages import Language
from codegeex_lsp.window import errand
from codegeex_lsp.window.errand import ActionParams, Errand
from codegeex_lsp.window.session import Session
from model_runtime.wire.protocol import Task

Kind = TypeVar("Kind", bound=StrEnum)


@attrs.frozen(kw_only=True)
class GenerateParams(ActionParams):
    instruction: str = ""


@attrs.frozen(kw_only=True)
class TranslateParams(ActionParams):
    """Without a target the first one of the settings is meant, without a placement theirs."""

    target_language: str = ""
    placement: str = ""


@attrs.frozen(kw_only=True)
class ExplainParams(ActionParams):
    style: str = explain.Style.COMMENTS.value


@attrs.frozen(kw_only=True)
class TemplateParams(ActionParams):
    name: str


@dataclass(frozen=True, slots=True)
class Selected:
    """The document as it is when the action is asked for, and the selection in it."""

    session: Session
    snapshot: Snapshot
    start: Position
    end: Position

    @property
    def language(self) -> Language | None:
        return languages.of(self.snapshot.language_id, self.snapshot.uri)

    @property
    def known_language(self) -> Language:
        """Raises RequestFailedError for a file of no known language."""
        if (language := self.language) is None:
            raise RequestFailedError("CodeGeeX does not know the language of this file.")
        return language

    @property
    def passage(self) -> passage.Passage:
        return passage.of_selection(self.snapshot, self.start, self.end)


def _generate(here: Selected, params: GenerateParams) -> Errand:
    """Code from the comment or docstring at the cursor, or from an instruction."""
    language, instruction = here.known_language, params.instruction.strip()
    return Errand(
        "generating code",
        Task.GENERATE,
        language,
        lambda limit: generate.plan(here.snapshot, here.start, here.end, language, instruction),
        lambda: here.session.retrieval.snippets.asked(here.snapshot, here.end, instruction),
    )


def _translate(here: Selected, params: TranslateParams) -> Errand:
    """The selection in another language."""
    settings = here.session.settings.actions
    placement = settings.placement
    if params.placement:
        placement = _choice(Placement, params.placement, "placement")
    name = params.target_language or next(iter(settings.target_languages), "")
    source, target, about = here.language, languages.named(name), here.passage
    return Errand(
        f"translating to {target.name}" if target else "translating",
        Task.TRANSLATE,
        source,
        lambda limit: translate.plan(about, source, target, placement, limit),
    )


def _explain(here: Selected, params: ExplainParams) -> Errand:
    """Comments between the lines of the selection, or a document about it."""
    language, about = here.known_language, here.passage
    style = _choice(explain.Style, params.style, "style")
    return Errand(
        "explaining code",
        Task.EXPLAIN,
        language,
        lambda limit: explain.plan(about, language, style, limit),
    )


def _docstring(here: Selected, params: ActionParams) -> Errand:
    """A docstring or comment for the definition at the selection."""
    language, about = here.known_language, here.passage
    return Errand(
        "writing a docstring",
        Task.DOCSTRING,
        language,
        lambda limit: docstring.plan(about, language, limit),
    )


def _summarise(here: Selected, params: ActionParams) -> Errand:
    """What the code at the selection does, in one sentence above it."""
    language, about = here.known_language, here.passage
    return Errand(
        "summarising code",
        Task.SUMMARISE,
        language,
        lambda limit: summarise.plan(about, language, limit),
    )


def _template(here: Selected, params: TemplateParams) -> Errand:
    """A prompt of the user's own, filled with the selection and continued."""
    folder = templates.folder(here.session.runtime.trusted, os.environ)
    about = here.passage
    try:
        chosen = templates.read(folder, params.name)
    except Refusal as refusal:
        raise RequestFailedError(str(refusal)) from None
    return Errand(
        f"continuing {chosen.name}",
        Task.TEMPLATE,
        here.language,
        lambda limit: template.plan(about, chosen, limit),
    )


ACTIONS: dict[str, tuple[type[ActionParams], Callable[[Selected, Any], Errand]]] = {
    "generate": (GenerateParams, _generate),
    "translate": (TranslateParams, _translate),
    "explain": (ExplainParams, _explain),
    "docstring": (ActionParams, _docstring),
    "summarise": (ActionParams, _summarise),
    "template": (TemplateParams, _template),
}
REQUESTS = {f"codegeex/{name}": name for name in ACTIONS}
COMMANDS = {f"codegeex.{name}": name for name in ACTIONS}


def request(name: str) -> Callable[[Session, Any], Awaitable[dict[str, Any]]]:
    """The handler of the action's request."""

    def handle(session: Session, params: ActionParams) -> Awaitable[dict[str, Any]]:
        snapshot = errand.opened(session, params.text_document.uri)
        start, end = convert.span(params.range, snapshot, session.server.encoding)
        todo = ACTIONS[name][1](Selected(session, snapshot, start, end), params)
        return errand.run(session, snapshot, todo, params)

    return handle


def command(session: Session, name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The command as pygls wants it: a function of its arguments."""

    def call(*arguments: Any) -> Awaitable[dict[str, Any]]:
        return start(session, name, arguments[0] if len(arguments) == 1 else None, apply=True)

    return call


def start(
    session: Session, command: str, argument: Any, *, apply: bool
) -> Awaitable[dict[str, Any]]:
    """Begin the action now, on the document as it is; the reply is to be awaited."""
    if (name := COMMANDS.get(command)) is None:
        raise InvalidParamsError(f"There is no command {command:.100}.")
    params: Any = session.server.structured(argument, ACTIONS[name][0], command)
    return request(name)(session, attrs.evolve(params, apply=apply))


def _choice(kind: type[Kind], given: str, noun: str) -> Kind:
    try:
        return kind(given)
    except ValueError:
        raise InvalidParamsError(f"The {noun} must be one of: {', '.join(kind)}.") from None
