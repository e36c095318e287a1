"""One request from prompt to candidates, a piece of work at a time.

It says which tokens are to be run next in which rows of the KV cache, and makes of the logits what
comes after them; the engine runs them, together with those of other requests. A single candidate
grows in its own slot, so that its keys and values serve again when the user accepts it or types
through it; several grow in branch rows, behind copies of one prefill.

A request that gives way returns its rows. When its turn comes again it finds in the cache what
nobody needed meanwhile, as a prompt that was typed on does, and runs the rest again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from model_runtime.decoding.stopping import Finish
from model_runtime.engine import plan
from model_runtime.engine.counters import Spent
from model_runtime.engine.scheduler import Job, failure
from model_runtime.folders.loaded import LoadedModel
from model_runtime.hub import cache as hub_cache
from model_runtime.networks.kv_cache import KVCache, Slot
from model_runtime.recall.memory import Memory
from model_runtime.recall.recall import Recall
from model_runtime.wire.protocol import Candidate, Chunk, Failure, Generate, Reason, Result, Timing


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens [B][T] to run at positions start .. start+T-1 of the rows with these numbers.

    The last `drafted` of a single row are guesses: then the logits of all positions are wanted.
    """

    ids: list[list[int]]
    rows: list[int]
    start: int
    drafted: int = 0

    @property
    def length(self) -> int:
        return len(self.ids[0])


class Generation:
    """`spent` is what it has cost up to now. Everything may raise RuntimeFailure."""

    def __init__(
        self,
        job: Job,
        request: Generate,
        model: LoadedModel,
        cache: KVCache,
        memory: Memory,
        clock: Callable[[], float],
        show: Callable[[Chunk], None],
    ) -> None:
        self.job = job
        self.spent = Spent()
        self._request = request
        self._model = model
        self._cache = cache
        self._memory = memory
        self._clock = clock
        self._stream = show
        self._began = clock()
        self._late = False
        self._plan = plan.NOTHING
        self._search = self._plan.search
        # What the candidates drew and ran, a list a row.
        self._grown: list[list[int]] = []
        self._slot: Slot | None = None
        self._branches: list[int] = []
        # Behind the prompt, while other requests hold the branch rows.
        self._split_logits: Tensor | None = None
        self._pending: list[list[int]] = []
        self._start = 0

    @property
    def finished(self) -> bool:
        return self._search.finished

    def begin(self) -> None:
        """Copy, and make the prompt; it may be finished after that."""
        if self._request.task in self._model.format.tasks:
            self._plan = plan.make(
                self._request, self._model, self._cache, self._show, self._recall
            )
            self._search = self._plan.search
            self._grown = [[] for _ in range(self._search.width)]
            self.spent.copies = len(self._plan.copied)

    def _recall(self) -> Recall:
        """What the window's own texts say at the cursor."""
        request = self._request
        return self._memory.recall(
            self.job.client, request.document, request.prefix, request.suffix, request.snippets
        )

    def piece(self, longest: int) -> Piece | None:
        """What to run next, at most `longest` tokens a row, or all of what an encoder reads.

        None when it is finished, or waits for rows that others hold.
        """
        slot = None if self.finished else self._slot or self._enter()
        if slot is None:
            return None
        if self._split_logits is not None and not self._split(slot, self._split_logits):
            return None
        if self.finished:
            return None
        rows = self._branches or [slot.index]
        length = longest
        if self._start < self._plan.source:
            length = self._plan.source  # an encoder sees all of it at once
        return Piece([row[:length] for row in self._pending], rows, self._start)

    def with_draft(self, piece: Piece) -> Piece:
        """The piece with what the memory guesses behind it, if this request takes drafts."""
        drafts = self._plan.drafts
        if drafts is None or self._grown[0][-1:] != piece.ids[0]:
            return piece
        # The last token is drawn from logits and never run.
        ids = drafts.next(self._grown[0], self._plan.end - piece.start - 2)
        return Piece([piece.ids[0] + ids], piece.rows, piece.start, drafted=len(ids))

    def take(self, piece: Piece, logits: Tensor) -> None:
        """The piece was run; logits [B, V] are those behind it, of a draft [T, V]."""
        self.spent.step(self.job.cancelled is not None)
        if piece.drafted:
            self._verify(piece, logits)
            return
        self._start += piece.length
        self._pending = [row[piece.length :] for row in self._pending]
        slot = self._slot
        if slot is not None and not self._branches:
            slot.append(piece.ids[0])
        if self._pending[0]:
            return
        if self._search.width > 1 and not self._branches:
            self._split_logits = logits
        else:
            self._draw(logits)

    def give_way(self) -> None:
        """Return the rows; the next piece begins by getting new ones."""
        if self._slot is not None:
            self._slot.release()
        self._cache.give_back(self._branches)
        self._slot, self._branches, self._split_logits = None, [], None

    def end_late(self) -> None:
        """There is no time left; what was generated so far is the answer."""
        self._late = True
        self._search.end(Finish.DEADLINE)

    def answer(self) -> Result | Failure:
        request = self._request
        if request.task not in self._model.format.tasks:
            names = ", ".join(hub_cache.able(request.task))
            others = f"; {names} can" if names else ""
            message = f'The model {self._model.name} can\'t "{request.task}"{others}.'
            return Failure(request.id, Reason.UNSUPPORTED_TASK, message)
        found = self._plan.copied + self._search.candidates()
        if not request.independent:
            found = _distinct(found)
        if found:
            return Result(request.id, tuple(found), self._timing())
        return failure(self.job, Reason.DEADLINE if self._late else Reason.NOTHING_GENERATED)

    # --- rows ---------------------------------------------------------------------------------

    def _enter(self) -> Slot | None:
        """Take a free slot, and say what it lacks of the prompt and a single candidate's text.

        If the cache has become too small meanwhile, what there is is the answer.
        """
        width = self._search.width
        if self._plan.end > self._cache.context or 1 < width > self._cache.branches:
            self._search.end(Finish.LENGTH)
            return None
        ids = self._plan.prompt + (self._grown[0] if width == 1 else [])
        slot = self._cache.acquire(ids, self._plan.source)
        if slot is None:
            return None
        self._slot, self._start = slot, slot.reused
        self._pending = [ids[slot.reused :]]
        if not self.spent.prompt_tokens:
            self.spent.prompt_tokens, self.spent.cached_tokens = len(ids), slot.reused
        return slot

    def _split(self, slot: Slot, logits: Tensor) -> bool:
        """Copy the prompt to a row for each candidate, and draw or run again what they have."""
        rows = self._cache.branch(slot, self._search.width)
        if rows is None:
            return False
        self._branches, self._split_logits = rows, None
        if self._grown[0]:
            self._pending = [list(row) for row in self._grown]
        else:
            self._draw(logits.expand(len(rows), -1))
        return True

    # --- from logits to the next tokens ---------------------------------------------------------

    def _draw(self, logits: Tensor) -> None:
        if not self._search.tokens:
            self.spent.prefill_s = self._clock() - self._began
        draw = self._search.advance(logits)
        self.spent.generated_tokens = self._search.tokens
        self.spent.decode_s = self._clock() - self._began - self.spent.prefill_s
        if self._search.finished:
            return
        if draw.parents is not None:
            prompt_end = len(self._plan.prompt)
            self._cache.reorder(self._branches, draw.parents, prompt_end, self._start)
            self._grown = [list(self._grown[parent]) for parent in draw.parents]
        for row, token in zip(self._grown, draw.ids, strict=True):
            row.append(token)
        self._pending = [[token] for token in draw.ids]

    def _verify(self, piece: Piece, logits: Tensor) -> None:
        """Draw behind the piece as long as what is drawn is what was guessed.

        Keys and values of wrong guesses stay behind the slot's tokens until the next ones are
        written over them.
        """
        (ids,) = piece.ids
        right = 0
        self._draw(logits[:1])
        while right < piece.drafted and not self.finished and self._grown[0][-1] == ids[right + 1]:
            right += 1
            self._draw(logits[right : right + 1])
        self._start += right + 1
        if self._slot is not None:
            self._slot.append(ids[: right + 1])
        if self._plan.drafts is not None:
            self._plan.drafts.learn(piece.drafted, right)
        self.spent.drafted_tokens += piece.drafted
        self.spent.accepted_tokens += right

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
