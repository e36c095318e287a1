"""One request from prompt to candidates, a piece of work at a time.

It says which tokens are to be run next in which rows of the KV cache, and makes of the logits what
comes after them; the engine runs them, together with those of other requests. states.py has the
states it goes through.

A single candidate grows in its own slot, so that its keys and values serve again when the user
accepts it or types through it; several grow in branch rows, behind copies of one prefill. A request
that gives way returns its rows and is Waiting again. When its turn comes it finds in the cache what
nobody needed meanwhile, as a prompt that was typed on does, and runs the rest again. It is finished
when its search is, whatever rows it has.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from model_runtime.decoding.stopping import Finish
from model_runtime.engine.brief import brief_for
from model_runtime.engine.counters import Spent
from model_runtime.engine.pace import Pace
from model_runtime.engine.scheduler import Job, failure
from model_runtime.engine.states import Decoding, Piece, Prefilled, Prefilling, State, Waiting
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.kv_cache import KVCache
from model_runtime.recall.memory import Memory
from model_runtime.recall.recall import Recall
from model_runtime.wire.protocol import Candidate, Chunk, Failure, Generate, Reason, Result, Timing


class Generation:
    """`spent` is what it has cost up to now. Everything may raise RuntimeFailure."""

    def __init__(
        self,
        job: Job,
        request: Generate,
        model: LoadedModel,
        cache: KVCache,
        memory: Memory,
        pace: Pace,
        clock: Callable[[], float],
        show: Callable[[Chunk], None],
    ) -> None:
        self.job = job
        self.spent = Spent()
        self._request = request
        self._cache = cache
        self._clock = clock
        self._stream = show
        self._began = clock()

        def recall() -> Recall:
            asked = request.document, request.prefix, request.suffix, request.snippets
            return memory.recall(job.client, *asked)

        self._brief = brief_for(request, model, cache, self._show, recall, pace)
        self._search = self._brief.search
        self._state: State = Waiting()
        # What the candidates drew, a list a row; the last token of each was not run.
        self._grown: list[list[int]] = [[] for _ in range(self._search.width)]

    @property
    def finished(self) -> bool:
        return self._search.finished

    @property
    def _alone(self) -> bool:
        return self._search.width == 1

    # --- what to run, and what comes of it ------------------------------------------------------

    def piece(self, longest: int) -> Piece | None:
        """What to run next, at most `longest` tokens a row, or all of what an encoder reads.

        None when it is finished, or waits for rows that others hold.
        """
        if not self.finished and isinstance(self._state, Waiting):
            self._enter()
        if not self.finished and isinstance(self._state, Prefilled):
            self._split(self._state)
        state = self._state
        if self.finished or not isinstance(state, Prefilling | Decoding):
            return None
        if isinstance(state, Decoding):
            return Piece([row[:longest] for row in state.pending], state.rows, state.start)
        # An encoder sees all of its source at once.
        length = self._brief.source if state.start < self._brief.source else longest
        return Piece([state.pending[:length]], [state.slot.index], state.start)

    def with_draft(self, piece: Piece) -> Piece:
        """The piece with what the memory guesses behind it, if this request takes drafts."""
        drafts = self._brief.drafts
        decoding = isinstance(self._state, Decoding)
        if drafts is None or not decoding or self._grown[0][-1:] != piece.ids[0]:
            return piece
        # The last token is drawn from logits and never run.
        ids = drafts.next(self._grown[0], self._brief.end - piece.start - 2)
        return Piece([piece.ids[0] + ids], piece.rows, piece.start, drafted=len(ids))

    def take(self, piece: Piece, logits: Tensor) -> None:
        """The piece was run; logits [B, V] are those behind it, of a draft [T, V]."""
        self.spent.step(self.job.cancelled is not None)
        state = self._state
        if isinstance(state, Prefilling):
            self._prefilled(state, piece, logits)
        elif isinstance(state, Decoding) and piece.drafted:
            self._verify(state, piece, logits)
        elif isinstance(state, Decoding):
            self._decoded(state, piece, logits)

    def give_way(self) -> None:
        """Return the rows; the next piece begins by getting new ones."""
        state, self._state = self._state, Waiting()
        if not isinstance(state, Waiting):
            state.slot.release()
        if isinstance(state, Decoding):
            self._cache.give_back(state.branches)

    def answer(self, *, late: bool = False) -> Result | Failure:
        """A `late` one has what was generated so far."""
        if late:
            self._search.end(Finish.DEADLINE)
        found = self._search.candidates()
        if not self._request.independent:
            found = _distinct(found)
        if found:
            return Result(self._request.id, tuple(found), self._timing())
        return failure(self.job, Reason.DEADLINE if late else Reason.NOTHING_GENERATED)

    # --- from state to state ----------------------------------------------------------------------

    def _enter(self) -> None:
        """Take a free slot, if there is one.

        If the cache has become too small meanwhile, what there is is the answer.
        """
        width = self._search.width
        if self._brief.end > self._cache.context or 1 < width > self._cache.branches:
            self._search.end(Finish.LENGTH)
            return
        ids = self._brief.prompt + (self._grown[0] if self._alone else [])
        slot = self._cache.acquire(ids, self._brief.source)
        if slot is None:
            return
        self._state = Prefilling(slot, ids[slot.reused :], slot.reused)
        if not self.spent.prompt_tokens:
            self.spent.prompt_tokens, self.spent.cached_tokens = len(ids), slot.reused

    def _prefilled(self, state: Prefilling, piece: Piece, logits: Tensor) -> None:
        """A chunk of the prompt was run."""
        state.slot.append(piece.ids[0])
        state.start += piece.length
        del state.pending[: piece.length]
        if state.pending:
            return
        if not self._alone:
            self._state = Prefilled(state.slot, logits)
            return
        decoding = self._state = Decoding(state.slot, [], state.start)
        self._draw(decoding, logits)

    def _split(self, state: Prefilled) -> None:
        """Copy the prompt to a row for each candidate, and draw or run again what they have."""
        branches = self._cache.branch(state.slot, self._search.width)
        if branches is None:
            return
        prompt_end = len(self._brief.prompt)
        decoding = self._state = Decoding(state.slot, [], prompt_end, branches)
        if self._grown[0]:
            decoding.pending = [list(row) for row in self._grown]
        else:
            self._draw(decoding, state.logits.expand(len(branches), -1))

    def _decoded(self, state: Decoding, piece: Piece, logits: Tensor) -> None:
        """Each row has run what it drew last, or some of what it had drawn before it gave way."""
        state.start += piece.length
        state.pending = [row[piece.length :] for row in state.pending]
        if not state.branches:
            state.slot.append(piece.ids[0])
        if not state.pending[0]:
            self._draw(state, logits)

    def _verify(self, state: Decoding, piece: Piece, logits: Tensor) -> None:
        """Draw behind the piece as long as what is drawn is what was guessed.

        Keys and values of wrong guesses stay behind the slot's tokens until the next ones are
        written over them.
        """
        (ids,) = piece.ids
        right = 0
        self._draw(state, logits[:1])
        while right < piece.drafted and not self.finished and self._grown[0][-1] == ids[right + 1]:
            right += 1
            self._draw(state, logits[right : right + 1])
        state.start += right + 1
        state.slot.append(ids[: right + 1])
        if self._brief.drafts is not None:
            self._brief.drafts.learn(piece.drafted, right)
        self.spent.drafted_tokens += piece.drafted
        self.spent.accepted_tokens += right

    # --- from logits to the next tokens ---------------------------------------------------------

    def _draw(self, state: Decoding, logits: Tensor) -> None:
        """What is pending next: a token a row, from logits [width, V]."""
        if not self._search.tokens:
            self.spent.prefill_s = self._clock() - self._began
        draw = self._search.advance(logits)
        self.spent.generated_tokens = self._search.tokens
        self.spent.decode_s = self._clock() - self._began - self.spent.prefill_s
        if self._search.finished:
            return
        if draw.parents is not None:
            prompt_end = len(self._brief.prompt)
            self._cache.reorder(state.branches, draw.parents, prompt_end, state.start)
            self._grown = [list(self._grown[parent]) for parent in draw.parents]
        for row, token in zip(self._grown, draw.ids, strict=True):
            row.append(token)
        state.pending = [[token] for token in draw.ids]

    def _show(self, number: int, text: str) -> None:
        if text and self._request.stream:
            self._stream(Chunk(self._request.id, number, text))

    def _timing(self) -> Timing:
        return Timing(
            queue_ms=(self._began - self.job.arrived) * 1000,
            prefill_ms=self.spent.prefill_s * 1000,
            decode_ms=self.spent.decode_s * 1000,
            prompt_tokens=self.spent.prompt_tokens,
            cached_tokens=self.spent.cached_tokens,
        )


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Without blank ones and without the later of two that are the same text."""
    by_text: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.text.strip():
            by_text.setdefault(candidate.text, candidate)
    return list(by_text.values())
