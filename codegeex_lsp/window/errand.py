"""One action for the editor, from its request to its reply: progress, partial results, cancel.

Every route runs through here: custom requests, commands and resolved code actions. Knows no single
action: handlers/actions.py hands in what to call it and how to plan it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
from lsprotocol import types

from codegeex_lsp.actions.performer import Told
from codegeex_lsp.actions.plan import Plan, Refusal
from codegeex_lsp.lsp.errors import CancelledRequestError, ContentModifiedError, RequestFailedError
from codegeex_lsp.runtime.reasons import sentence
from codegeex_lsp.text.documents import Snapshot
from codegeex_lsp.text.languages import Language
from codegeex_lsp.window import work_progress
from codegeex_lsp.window.delivery import CLOSED, Delivered
from model_runtime.wire.protocol import Reason, Snippet, Task

if TYPE_CHECKING:
    from codegeex_lsp.window.session import Session

Done = TypeVar("Done")

OFF = 'CodeGeeX is turned off; set "codegeex.enabled" to true.'
NOT_OPEN = "The document is not open in the editor; open it first."


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
    """`plan` is called with the number of characters that the model can take at once, `snippets`
    for pieces of other files, where they are of use."""

    title: str
    task: Task
    language: Language | None
    plan: Callable[[int], Plan]
    snippets: Callable[[], Awaitable[tuple[Snippet, ...]]] | None = None


def opened(session: Session, uri: str) -> Snapshot:
    """The document as it is now. To be called before anything is awaited."""
    if not session.settings.enabled:
        raise RequestFailedError(OFF)
    snapshot = session.server.documents.snapshot(uri)
    if snapshot is None:
        raise RequestFailedError(NOT_OPEN)
    if snapshot.size > session.settings.completion.max_file_size:
        raise RequestFailedError(sentence(Reason.FILE_TOO_LARGE))
    return snapshot


class Later(Generic[Done]):
    """Work that begins when it is awaited, on what was found out when it was asked for.

    A request may be cancelled before its task has begun; a coroutine would be left behind then.
    """

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Done]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, Done]:
        return self._begin().__await__()


def run(
    session: Session, snapshot: Snapshot, errand: Errand, params: ActionParams
) -> Later[dict[str, Any]]:
    """The reply. Raises RequestFailedError with a sentence, and what watched() raises."""

    async def reply() -> dict[str, Any]:
        return (await _work(session, snapshot, errand, params)).reply()

    return watched(session, snapshot.uri, reply)


def watched(
    session: Session, uri: str, work: Callable[[], Coroutine[Any, Any, Done]]
) -> Later[Done]:
    """The result of work about a document. Raises CancelledRequestError when it was cancelled from
    its progress, ContentModifiedError when the document was closed."""
    return Later(lambda: _watched(session, uri, work))


async def _watched(
    session: Session, uri: str, work: Callable[[], Coroutine[Any, Any, Done]]
) -> Done:
    task = asyncio.create_task(work())
    session.errands[task] = uri
    try:
        await asyncio.wait([task])
    finally:
        # Reached with the work unfinished only when the request itself was cancelled.
        task.cancel()
        session.errands.pop(task)
    if task.cancelled():
        if session.server.documents.snapshot(uri) is None:
            raise ContentModifiedError(CLOSED)
        raise CancelledRequestError("The request was cancelled.")
    return task.result()


async def _work(
    session: Session, snapshot: Snapshot, errand: Errand, params: ActionParams
) -> Delivered:
    this: Any = asyncio.current_task()
    try:
        async with work_progress.shown(
            session.server, f"CodeGeeX: {errand.title}", params.work_done_token, this.cancel
        ) as tell:
            listener = _Relay(session, tell, params.partial_result_token)
            await session.performer.ready_for(errand.task)
            outcome = await session.performer.perform(
                errand.plan(session.performer.limit),
                errand.language.name if errand.language else "",
                session.retrieval.names(snapshot.uri)[1],
                listener.hear,
                await errand.snippets() if errand.snippets else (),
            )
        if params.apply:
            return await session.delivery.bring(outcome)
        return session.delivery.describe(outcome)
    except Refusal as refusal:
        raise RequestFailedError(str(refusal)) from None


class _Relay:
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
