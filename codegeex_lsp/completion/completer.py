"""One inline completion from snapshot to suggestions: refuse, look up, pause, ask, clean, keep.

Everything that is pure lies in completion/; this file holds the order of the steps and the state
that outlives a request (cache, pacing, what runs for which document). Knows no LSP types. Called by
handlers/ and by `codegeex-lsp complete`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field, replace

from codegeex_lsp.completion import context as contexts
from codegeex_lsp.completion import postprocess
from codegeex_lsp.completion.cache import Cached, SuggestionCache
from codegeex_lsp.completion.context import Context
from codegeex_lsp.completion.pacing import Pacing
from codegeex_lsp.completion.suggestion import Suggestion
from codegeex_lsp.config.settings import Pause, Settings
from codegeex_lsp.exclusion import values
from codegeex_lsp.exclusion.left_out import SENTENCES, LeftOut
from codegeex_lsp.runtime.client import RuntimeClient, Unanswered
from codegeex_lsp.text import file_uris, languages
from codegeex_lsp.text.documents import Position, Snapshot
from model_runtime.wire.protocol import Activity, Candidate, Generate, Reason, Result, Snippet

# An automatic request gets one line: of 56,065 lines of Python's standard library 99 % are at most
# so many tokens long, and a weak model that turns in circles is stopped early.
LINE_TOKENS = 32
# Until the runtime has said how much text its model can use.
DEFAULT_CONTEXT_CHARS = 6000
ANSWERS_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """Suggestions, or the reason why there are none. `origin` is "model", "cache" or "refused"."""

    suggestions: tuple[Suggestion, ...] = ()
    reason: Reason | None = None
    detail: str = ""
    origin: str = "refused"
    elapsed_ms: float = 0.0


@dataclass(slots=True)
class Counts:
    """The tally of this window, in the words of protocol.Activity."""

    requests: int = 0
    cached: int = 0
    shown: int = 0
    empty: dict[str, int] = field(default_factory=dict)
    last: str = ""

    def add(self, answer: Answer) -> None:
        self.requests += 1
        self.cached += answer.origin == "cache"
        self.last = answer.reason.value if answer.reason else "shown"
        if answer.reason is None:
            self.shown += 1
        else:
            self.empty[answer.reason.value] = self.empty.get(answer.reason.value, 0) + 1


class Completer:
    """Completions of all documents of one editor window."""

    def __init__(
        self,
        runtime: RuntimeClient,
        settings: Callable[[], Settings],
        is_current: Callable[[Snapshot], bool],
        clock: Callable[[], float] = time.monotonic,
        snippets: Callable[[Snapshot, Position], tuple[Snippet, ...]] = lambda *_: (),
        names: Callable[[str], tuple[str, str]] = lambda uri: ("", file_uris.name(uri)),
        left_out: Callable[[Snapshot], Coroutine[None, None, LeftOut | None]] | None = None,
    ) -> None:
        """`names` are those of a document's project and, inside it, of the document; `left_out`
        says why nothing is to be suggested in it by itself."""
        self._counts = Counts()
        self._runtime = runtime
        self._settings = settings
        self._is_current = is_current
        self._clock = clock
        self._snippets = snippets
        self._names = names
        self._left_out = left_out
        self._cache = SuggestionCache()
        self._pacing = Pacing()
        self._running: dict[str, asyncio.Task[Answer]] = {}
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    async def complete(
        self,
        snapshot: Snapshot,
        position: Position,
        *,
        invoked: bool,
        document: Snapshot | None = None,
    ) -> Answer:
        """Answer one request; a newer one for the same document makes this one `superseded`.

        `document` is the open document when `snapshot` is a changed copy of it.
        """
        begin = self._clock()
        task = asyncio.create_task(
            self._steps(snapshot, position, document or snapshot, invoked=invoked)
        )
        self._supersede(snapshot.uri, task)
        try:
            await asyncio.wait([task])
        finally:
            # Reached with the task unfinished only when this request itself was cancelled.
            task.cancel()
            if self._running.get(snapshot.uri) is task:
                del self._running[snapshot.uri]
        answer = Answer(reason=Reason.SUPERSEDED) if task.cancelled() else task.result()
        return self._remember(snapshot.uri, answer, self._clock() - begin)

    def last_answer(self, uri: str) -> Answer | None:
        """What was said last about this document, for codegeex/why."""
        return self._answers.get(uri)

    def activity(self) -> Activity:
        """The tally of this window, for the runtime's status."""
        return Activity(**asdict(self._counts))

    def changed(self) -> None:
        """A document was edited: a keystroke, as far as the pause is concerned."""
        self._pacing.keystroke(self._clock())

    def closed(self, uri: str) -> None:
        """Forget the document and end its work."""
        if (work := self._running.get(uri)) is not None:
            work.cancel()
        self._cache.forget(uri)
        self._answers.pop(uri, None)

    def _supersede(self, uri: str, work: asyncio.Task[Answer]) -> None:
        if (older := self._running.get(uri)) is not None:
            older.cancel()
        self._running[uri] = work

    def _remember(self, uri: str, answer: Answer, elapsed_s: float) -> Answer:
        answer = replace(answer, elapsed_ms=round(elapsed_s * 1000, 2))
        self._counts.add(answer)
        self._answers[uri] = answer
        self._answers.move_to_end(uri)
        if len(self._answers) > ANSWERS_REMEMBERED:
            self._answers.popitem(last=False)
        return answer

    async def _steps(
        self, snapshot: Snapshot, position: Position, document: Snapshot, *, invoked: bool
    ) -> Answer:
        settings = self._settings()
        refusal = contexts.refusal(snapshot, position, settings, invoked=invoked)
        if refusal is not None:
            return Answer(reason=refusal)
        why = await self._left_out(document) if self._left_out else None
        if why is not None and not invoked:
            return Answer(reason=Reason.LEFT_OUT, detail=SENTENCES[why])
        language = languages.of(snapshot.language_id, snapshot.uri)
        context = contexts.cut(snapshot, position, self._context_chars(), language)
        if values.holds(context.line_before + context.line_after, len(context.line_before)):
            return Answer(reason=Reason.IN_SECRET)
        known = self._cache.get(snapshot.uri, context, self._clock(), thorough=invoked)
        if known is not None:
            return _answer(known, "cache")
        if settings.completion.pause is Pause.ADAPTIVE:
            pause = self._pacing.pause(self._clock(), invoked=invoked, context=context)
            if pause > 0:
                await asyncio.sleep(pause)
        # Asked by hand, a document that is left out is completed from its own text.
        snippets = self._snippets(snapshot, position) if why is None else ()
        answer = await self._ask(snapshot.uri, context, snippets, settings, invoked)
        if answer.suggestions and not self._is_current(document):
            # What was found waits in the cache for the request that follows the edit.
            return Answer(reason=Reason.DOCUMENT_MOVED, origin="model")
        return answer

    async def _ask(
        self,
        uri: str,
        context: Context,
        snippets: tuple[Snippet, ...],
        settings: Settings,
        invoked: bool,
    ) -> Answer:
        number = self._runtime.next_id()
        request = _request(number, uri, context, snippets, settings, invoked=invoked)
        repository, path = self._names(uri)
        request = replace(request, repository=repository, path=path)
        begin = self._clock()
        try:
            result = await self._runtime.generate(request)
        except Unanswered as silence:
            return Answer(reason=silence.reason, detail=silence.detail, origin="model")
        self._pacing.answered(self._clock() - begin)
        outcome = _cleaned(result, context, self._minimum_confidence(settings, invoked=invoked))
        self._cache.put(uri, context, outcome, self._clock(), thorough=invoked)
        return _answer(outcome, "model")

    def _minimum_confidence(self, settings: Settings, *, invoked: bool) -> float:
        """The user's limit comes first; the model's own holds for what nobody asked for."""
        if (wanted := settings.completion.minimum_confidence) is not None:
            return wanted
        welcome = self._runtime.welcome
        return 0.0 if invoked or welcome is None else welcome.minimum_confidence

    def _context_chars(self) -> int:
        welcome = self._runtime.welcome
        return welcome.context_chars if welcome else DEFAULT_CONTEXT_CHARS


def _answer(outcome: Cached, origin: str) -> Answer:
    if isinstance(outcome, Reason):
        return Answer(reason=outcome, origin=origin)
    return Answer(outcome, origin=origin)


def _request(
    number: int,
    uri: str,
    context: Context,
    snippets: tuple[Snippet, ...],
    settings: Settings,
    *,
    invoked: bool,
) -> Generate:
    """Automatic requests want one quick line; invoked ones may take a block and several tries."""
    completion = settings.completion
    candidates = completion.max_candidates if invoked else 1
    return Generate(
        id=number,
        prefix=context.prefix,
        suffix=context.suffix,
        snippets=snippets,
        language=context.language.name if context.language else "",
        document=uri,
        max_new_tokens=(
            completion.max_new_tokens if invoked else min(completion.max_new_tokens, LINE_TOKENS)
        ),
        max_lines=completion.max_lines if invoked else 1,
        candidates=candidates,
        temperature=completion.temperature if candidates > 1 else 0.0,
        top_p=completion.top_p,
    )


def _cleaned(result: Result, context: Context, minimum_confidence: float) -> Cached:
    """The candidates after the filters, without duplicates; the first refusal when none is left."""
    suggestions: dict[str, Suggestion] = {}
    refusals: list[Reason] = []
    for candidate in result.candidates:
        cleaned = _clean(candidate, context, minimum_confidence)
        if isinstance(cleaned, Reason):
            refusals.append(cleaned)
        else:
            suggestions.setdefault(cleaned.text, cleaned)
    return tuple(suggestions.values()) or next(iter(refusals), Reason.NOTHING_GENERATED)


def _clean(
    candidate: Candidate, context: Context, minimum_confidence: float
) -> Suggestion | Reason:
    text = postprocess.process(candidate.text, context)
    if isinstance(text, Reason):
        return text
    suggestion = Suggestion(text, candidate.source, candidate.mean_logprob, candidate.min_logprob)
    return postprocess.confident(suggestion, minimum_confidence) or suggestion
