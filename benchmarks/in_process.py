"""The runtime's engine and the language server's completer in one process, without a socket.

The engine gets real requests and gives real answers; the completer gets them through the part of
RuntimeClient it uses. For benchmarks that ask thousands of times.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from benchmarks.cursors import Cursor, read
from codegeex_lsp.completion.completer import Completer
from codegeex_lsp.config.settings import CompletionSettings, Pause, Settings
from codegeex_lsp.runtime.client import Unanswered
from codegeex_lsp.text.documents import Position, Snapshot
from model_runtime.engine.counters import Work
from model_runtime.engine.loading import load_engine
from model_runtime.engine.scheduler import Scheduler
from model_runtime.folders.announcing import announce
from model_runtime.recall.mailbox import Letter
from model_runtime.wire.protocol import (
    PROTOCOL_VERSION,
    Candidate,
    Failure,
    Generate,
    Reason,
    Result,
    Welcome,
)

CLIENT = 1
LINE_TOKENS = 32
LANGUAGE_IDS = {"C++": "cpp", "JavaScript": "javascript", "TypeScript": "typescript"}


class Runtime:
    """One model; `complete` answers a cursor in the ways that a method may want."""

    def __init__(self, model: str) -> None:
        self._answers: list[Result | Failure] = []
        self._scheduler = Scheduler(lambda job, failure: self._answers.append(failure))
        self._engine = load_engine(
            model,
            "cpu",
            "",
            self._scheduler,
            lambda job, reply: self._answers.append(reply),
            Work(),
        )
        self.model = self._engine.model
        self._without_memory = replace(self.model, trust=None)
        self._ids = itertools.count(1)
        self._open: tuple[Path, ...] = ()
        told = announce(model)
        self.welcome = Welcome(PROTOCOL_VERSION, "", 0, model, told.context_chars)

    def pieces(self, text: str) -> list[str]:
        """The text as the model's tokens."""
        tokenizer = self.model.tokenizer
        return [tokenizer.decode([id_]) for id_ in tokenizer.encode(text.lstrip())]

    def complete(
        self,
        cursor: Cursor,
        *,
        suffix: bool = True,
        memory: bool = False,
        others: bool = False,
    ) -> Candidate | None:
        """One line, greedily."""
        before, behind = cursor.request_texts
        request = Generate(
            next(self._ids),
            before,
            behind if suffix else "",
            language=cursor.language,
            document=cursor.path.as_uri(),
            max_new_tokens=LINE_TOKENS,
            max_lines=1,
        )
        reply = self.answer(request, cursor, memory=memory, others=others)
        return reply.candidates[0] if isinstance(reply, Result) else None

    def answer(
        self, request: Generate, cursor: Cursor, *, memory: bool, others: bool
    ) -> Result | Failure:
        """The engine's own answer."""
        self._open_files(cursor.others if others else ())
        self._engine.model = self.model if memory else self._without_memory
        self._answers.clear()
        self._scheduler.submit(CLIENT, request)
        while not self._answers:
            self._engine.turn()
        return self._answers[-1]

    def _open_files(self, paths: tuple[Path, ...]) -> None:
        if paths == self._open:
            return
        self._open = paths
        self._engine.memory.take(Letter(CLIENT))
        for path in paths:
            self._engine.memory.take(Letter(CLIENT, path.as_uri(), read(path)))


class _Link:
    """What the completer uses of RuntimeClient, for one cursor."""

    def __init__(self, runtime: Runtime, cursor: Cursor) -> None:
        self.welcome = runtime.welcome
        self._runtime = runtime
        self._cursor = cursor

    def next_id(self) -> int:
        return 1

    async def generate(self, request: Generate) -> Result:
        reply = self._runtime.answer(request, self._cursor, memory=True, others=True)
        if isinstance(reply, Failure):
            raise Unanswered(Reason(reply.reason), reply.message)
        return reply


async def through_server(runtime: Runtime, cursor: Cursor) -> Candidate | None:
    """What the server would show unasked if every confidence were enough."""
    language = LANGUAGE_IDS.get(cursor.language, cursor.language.lower())
    text = cursor.prefix + cursor.suffix
    snapshot = Snapshot.of(cursor.path.as_uri(), 1, language, text)
    before = cursor.prefix.rpartition("\n")
    position = Position(before[0].count("\n") + (1 if before[1] else 0), len(before[2]))
    settings = Settings(completion=CompletionSettings(pause=Pause.OFF, minimum_confidence=0.0))
    completer = Completer(_Link(runtime, cursor), lambda: settings, lambda snapshot: True)
    answer = await completer.complete(snapshot, position, invoked=False)
    if not answer.suggestions:
        return None
    shown = answer.suggestions[0]
    return Candidate(shown.text, shown.source, "", 0, shown.mean_logprob, shown.min_logprob)
