"""One action for the editor, from its request to its reply: progress, partial results, cancel.

Every route runs through here: custom requests, commands and resolved code actions. Knows no single
action: a handler hands in what to call it and how to plan it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import attrs
from lsprotocol import types

from codegeex_lsp import languages, work_progress
from codegeex_lsp.actions.plan import Plan, Refusal
from codegeex_lsp.delivery import CLOSED, Delivered
from codegeex_lsp.documents import Snapshot
from codegeex_lsp.errors import (
    CancelledRequestError,
    ContentModifiedError,
    RequestFailedError,
)
from codegeex_lsp.languages import Language
from codegeex_lsp.performer import Told
from model_runtime.protocol import Task

if TYPE_CHECKING:
    from codegeex_lsp.session import Session

OFF = 'CodeGeeX is turned off; set "codegeex.enabled" to true.'
NOT_OPEN = "The document is not open in the editor; open it first."
NO_LANGUAGE = "CodeGeeX does not know the language of this file."


@attrs.frozen(kw_only=True)
class ActionParams:
    """What every action is asked with. With `apply` the server inserts the result by itself."""

    text_document: types.TextDocumentIdentifier
    range: types.Range
    apply: bool = False
    work_done_token: int | str | None = None
    partial_result_token: int | str | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """`plan` is called with the number of characters that the model can take at once."""

    title: str
    task: Task
    snapshot: Snapshot
    language: Language | None
    plan: Callable[[int], Plan]


def place(session: Session, params: ActionParams) -> tuple[Snapshot, Language | None]:
    """The document as it is now and its language. To be called before anything is awaited."""
    if not session.settings.enabled:
        raise RequestFailedError(OFF)
    snapshot = session.server.documents.snapshot(params.text_document.uri)
    if snapshot is None:
        raise RequestFailedError(NOT_OPEN)
    return snapshot, languages.of(snapshot.language_id, snapshot.uri)


def known(language: Language | None) -> Language:
    """Raises RequestFailedError for a file of no known language."""
    if language is None:
        raise RequestFailedError(NO_LANGUAGE)
    return language


async def run(session: Session, errand: Errand, params: ActionParams) -> dict[str, Any]:
    """The reply. Raises RequestFailedError with a sentence, CancelledRequestError after a cancel in
    the progress, ContentModifiedError when the document was closed."""
    work = asyncio.create_task(_work(session, errand, params))
    uri = errand.snapshot.uri
    session.errands[work] = uri
    try:
        await asyncio.wait([work])
    finally:
        # Reached with the work unfinished only when the request itself was cancelled.
        work.cancel()
        session.errands.pop(work)
    if work.cancelled():
        if session.server.documents.snapshot(uri) is None:
            raise ContentModifiedError(CLOSED)
        raise CancelledRequestError("The request was cancelled.")
    return work.result().reply()


async def _work(session: Session, errand: Errand, params: ActionParams) -> Delivered:
    this: Any = asyncio.current_task()
    try:
        async with work_progress.shown(
            session.server, f"CodeGeeX: {errand.title}", params.work_done_token, this.cancel
        ) as tell:
            listener = _Listener(session, tell, params.partial_result_token)
            await session.performer.ready_for(errand.task)
            outcome = await session.performer.perform(
                errand.plan(session.performer.limit),
                errand.language.name if errand.language else "",
                errand.snapshot.uri.rpartition("/")[2],
                listener.hear,
            )
        if params.apply:
            return await session.delivery.bring(outcome)
        return session.delivery.describe(outcome)
    except Refusal as refusal:
        raise RequestFailedError(str(refusal)) from None


class _Listener:
    """Passes on what a model writes: lines as progress, text as partial results."""

    def __init__(self, session: Session, tell: work_progress.Tell, token: int | str | None) -> None:
        self._session = session
        self._tell = tell
        self._token = token
        self._lines = 1

    def hear(self, told: Told) -> None:
        if self._token is not None:
            value = {"text": told.text, "part": told.part, "parts": told.parts}
            self._session.server.protocol.notify(
                types.PROGRESS, types.ProgressParams(self._token, value)
            )
        if "\n" in told.text or self._lines == 1:
            self._lines += told.text.count("\n")
            part = f"part {told.part} of {told.parts}, " if told.parts > 1 else ""
            percentage = 100 * (told.part - 1) // told.parts if told.parts > 1 else None
            self._tell(f"{part}line {self._lines}", percentage)
