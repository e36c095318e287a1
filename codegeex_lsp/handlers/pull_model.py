"""codegeex/pullModel: fetch a model, with a question before and progress that can be cancelled."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import attrs
from lsprotocol import types

from codegeex_lsp.lsp.errors import ClientRefusedError
from codegeex_lsp.runtime.pull import Listener, PullFailedError, pull
from codegeex_lsp.window.session import Session

METHOD = "codegeex/pullModel"
COMMAND = "codegeex.models.pull"

FETCH = "Fetch"
_tokens = itertools.count(1)


@attrs.frozen
class PullModelParams:
    model: str


async def handle(session: Session, params: PullModelParams) -> dict[str, Any]:
    return await pull_model(session, params.model)


async def pull_model(session: Session, model: str) -> dict[str, Any]:
    """`folder` is null when nothing was fetched, and `message` says in one sentence what happened.

    The user is told the same.
    """
    progress = _Progress(session, model)
    work = asyncio.create_task(pull(model, Listener(progress.agree, progress.report)))
    progress.cancels(work)
    folder = None
    try:
        folder = await work
        message = f"{model} is here; to use it, run: codegeex-lsp models use {model}"
        if folder is None:
            message = f"{model} was not fetched."
    except PullFailedError as error:
        message = str(error)
    except asyncio.CancelledError:
        if not progress.cancelled:
            raise
        message = f"{model} was not fetched whole; what came is kept for the next time."
    finally:
        progress.end()
    kind = types.MessageType.Info if folder else types.MessageType.Warning
    session.server.window_show_message(types.ShowMessageParams(kind, f"CodeGeeX: {message}"))
    return {"folder": str(folder) if folder else None, "message": message}


class _Progress:
    """The question, then the editor's bar where it has one."""

    def __init__(self, session: Session, model: str) -> None:
        self._session = session
        self._title = f"CodeGeeX: fetching {model}"
        self._token: str | None = None
        self._percentage = 0
        self._work: asyncio.Task[Any] | None = None
        self.cancelled = False

    def cancels(self, work: asyncio.Task[Any]) -> None:
        """`work` ends when the user cancels the bar."""
        self._work = work

    async def agree(self, question: str) -> bool:
        asking = types.ShowMessageRequestParams(
            types.MessageType.Info, f"CodeGeeX: {question}", [types.MessageActionItem(FETCH)]
        )
        try:
            answer = await self._session.server.window_show_message_request_async(asking)
        except ClientRefusedError:
            return False
        if answer is None or answer.title != FETCH:
            return False
        await self._begin()
        return True

    async def _begin(self) -> None:
        window = self._session.server.client_capabilities.window
        if not (window and window.work_done_progress):
            return
        token = f"codegeex-pull-{next(_tokens)}"
        bar = self._session.server.work_done_progress
        try:
            await bar.create_async(token)
        except ClientRefusedError:
            return
        self._token = token
        bar.tokens[token].add_done_callback(lambda _: self._cancel())
        begin = types.WorkDoneProgressBegin(self._title, cancellable=True, percentage=0)
        bar.begin(token, begin)

    def _cancel(self) -> None:
        if self._work is not None:
            self.cancelled = self._work.cancel()

    def report(self, done: int, size: int) -> None:
        percentage = 100 * done // size
        if self._token is not None and percentage > self._percentage:
            self._percentage = percentage
            message = f"{done / 1e6:,.0f} of {size / 1e6:,.0f} MB"
            told = types.WorkDoneProgressReport(message=message, percentage=percentage)
            self._session.server.work_done_progress.report(self._token, told)

    def end(self) -> None:
        if self._token is not None:
            self._session.server.work_done_progress.end(self._token, types.WorkDoneProgressEnd())
