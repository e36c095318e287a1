"""One request from prompt to candidates: copy, prefill, decode, put in order.

It lives in the engine's thread for one job and borrows the engine's model, cache and scheduler. A
single candidate is decoded in its own slot, so that its keys and values serve again when the user
accepts it or types through it; several are decoded as a batch behind copies of one prefill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from model_runtime import copying
from model_runtime.continuation import Continuation
from model_runtime.counters import Spent
from model_runtime.errors import BadPromptError
from model_runtime.kv_cache import Rows, Slot
from model_runtime.prompts import render
from model_runtime.protocol import Candidate, Chunk, Failure, Reason, Result, Timing
from model_runtime.sampling import Sampling, choose
from model_runtime.scheduler import Job, failure
from model_runtime.stopping import Finish, StoppingText, StopRules

if TYPE_CHECKING:
    from model_runtime.engine import Engine

# A sample is the model's alone: never a copy, and equal or blank ones count like any other.
COMPLETE, SAMPLE = "complete", "sample"
# What torch's generators take as a seed.
SEED_MASK = 2**63 - 1


class CancelledError(Exception):
    """The job's cancel flag is set."""


class DeadlinePassedError(Exception):
    """There is no time left; what was generated so far is the answer."""


class Generation:
    """`spent` is what it has cost up to now."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self.spent = Spent()
        self._engine = engine
        self._job = job
        self._request = job.request
        self._clock = engine.scheduler.clock
        self._began = self._clock()
        self._late = False

    def run(self) -> Result | Failure:
        """The answer. Raises CancelledError, RuntimeFailure, and whatever breaks in the model."""
        request = self._request
        if request.task not in (COMPLETE, SAMPLE):
            message = f'{self._engine.model.name} completes code; it can\'t "{request.task}".'
            return Failure(request.id, Reason.UNSUPPORTED_TASK, message)
        if min(request.max_new_tokens, request.candidates) < 1 or request.max_lines < 0:
            raise BadPromptError(
                "max_new_tokens and candidates must be 1 or more, and max_lines 0 or more."
            )
        sampling = Sampling(request.temperature, request.top_k, request.top_p)
        found = self._copies()
        wanted = min(request.candidates - len(found), self._engine.branches)
        if wanted > 0:
            found += self._from_model(wanted, sampling, number=len(found))
        if request.task == COMPLETE:
            found = _distinct(found)
        if found:
            return Result(request.id, tuple(found), self._timing())
        return failure(self._job, Reason.DEADLINE if self._late else Reason.NOTHING_GENERATED)

    def _copies(self) -> list[Candidate]:
        """The copy from the same file, where the model is one that copies first."""
        request = self._request
        if not self._engine.model.copies_first or request.task == SAMPLE:
            return []
        text = copying.predict(request.prefix, request.suffix)
        if text is None:
            return []
        stopping = StoppingText(StopRules(2, request.max_lines, request.stop))
        stopping.push(text)
        if stopping.finish is None:
            stopping.end(Finish.LINES)
        self.spent.copies = 1
        self._show(0, stopping.text)
        return [Candidate(stopping.text, "copy", str(stopping.finish), tokens=0)]

    def _from_model(self, wanted: int, sampling: Sampling, number: int) -> list[Candidate]:
        """`wanted` candidates, numbered from `number` in the stream."""
        ids = self._prompt()
        growing = [self._continuation(number + row, len(ids)) for row in range(wanted)]
        slot = self._engine.cache.acquire(ids)
        if slot is None:
            raise RuntimeError("requests nest deeper than there are slots")
        try:
            logits = self._prefill(slot, ids)
            self._decode(slot, logits, growing, sampling)
        except DeadlinePassedError:
            self._late = True
            for continuation in growing:
                continuation.end(Finish.DEADLINE)
        finally:
            slot.release()
        return [continuation.candidate() for continuation in self._best_first(growing)]

    def _prompt(self) -> list[int]:
        """The prompt's ids; it leaves room for the new tokens, up to half of the context."""
        model, request = self._engine.model, self._request
        context = model.config.max_position_embeddings
        return render(
            model.format,
            model.tokenizer,
            language=request.language,
            prefix=request.prefix,
            suffix=request.suffix,
            budget=max(context - request.max_new_tokens, context // 2),
        )

    def _continuation(self, number: int, prompt_length: int) -> Continuation:
        model, request = self._engine.model, self._request
        # A prompt's control token can only mean that the model is through with the text.
        controls = map(model.tokenizer.control, model.format.controls)
        room = model.config.max_position_embeddings - prompt_length
        return Continuation(
            model.tokenizer.stream(),
            {model.tokenizer.end_of_text, *controls},
            StopRules(min(request.max_new_tokens, room), request.max_lines, request.stop),
            lambda text: self._show(number, text),
        )

    def _prefill(self, slot: Slot, ids: list[int]) -> Tensor:
        """Run what the slot doesn't hold yet; the logits [1, V] behind the prompt."""
        began = self._clock()
        self.spent.prompt_tokens, self.spent.cached_tokens = len(ids), slot.reused
        chunk = self._engine.device.prefill_chunk
        logits = torch.empty(0)  # `reused` leaves at least one token to run
        for start in range(slot.reused, len(ids), chunk):
            self._look_around()
            piece = ids[start : start + chunk]
            logits = self._engine.forward([piece], slot.rows, start)
            slot.append(piece)
            self.spent.step(self._job.cancelled is not None)
        self.spent.prefill_s = self._clock() - began
        return logits

    def _decode(
        self, slot: Slot, logits: Tensor, growing: list[Continuation], sampling: Sampling
    ) -> None:
        """Draw a token a row from logits [1, V], then from [B, V], until every row is finished."""
        began = self._clock()
        request = self._request
        usable = self._engine.model.tokenizer.vocab_size
        generator = torch.Generator(logits.device).manual_seed(request.seed & SEED_MASK)
        greedy_rows = int(request.best_first and request.candidates > 1)
        logits = logits.expand(len(growing), -1)
        lane: Lane = SlotLane(self._engine, slot)
        if len(growing) > 1:
            lane = BranchLane(self._engine, slot, len(growing))
        while True:
            drawn, logprobs = choose(logits, sampling, usable, generator, greedy_rows)
            ids = drawn.tolist()
            self._push(growing, ids, logprobs.tolist())
            self.spent.decode_s = self._clock() - began
            if all(continuation.finished for continuation in growing):
                return
            self._look_around()
            logits = lane.advance(ids)
            self.spent.step(self._job.cancelled is not None)

    def _push(self, growing: list[Continuation], ids: list[int], logprobs: list[float]) -> None:
        for continuation, token, logprob in zip(growing, ids, logprobs, strict=True):
            if not continuation.finished:
                continuation.push(token, logprob)
                self.spent.generated_tokens += 1

    def _look_around(self) -> None:
        """Between two steps: give way to more urgent jobs, and end when nobody waits any more."""
        if self._job.cancelled is None:
            self._engine.serve_urgent(self._job)
        if self._job.cancelled is not None:
            raise CancelledError
        if self._job.expired(self._clock()):
            raise DeadlinePassedError

    def _best_first(self, growing: list[Continuation]) -> list[Continuation]:
        """The greedy one stays in front if it was asked for; the others by mean log-probability."""
        fixed = int(self._request.best_first)
        rest = sorted(growing[fixed:], key=lambda one: one.mean_logprob, reverse=True)
        return growing[:fixed] + rest

    def _show(self, number: int, text: str) -> None:
        if text and self._request.stream:
            self._engine.emit(self._job, Chunk(self._request.id, number, text))

    def _timing(self) -> Timing:
        return Timing(
            queue_ms=(self._began - self._job.arrived) * 1000,
            prefill_ms=self.spent.prefill_s * 1000,
            decode_ms=self.spent.decode_s * 1000,
            prompt_tokens=self.spent.prompt_tokens,
            cached_tokens=self.spent.cached_tokens,
        )


class Lane(Protocol):
    """The rows of the KV cache that candidates grow in."""

    def advance(self, ids: list[int]) -> Tensor:
        """Run one token a row; the logits [B, V] behind them."""


class SlotLane:
    """One candidate, behind the prompt in the same slot."""

    def __init__(self, engine: Engine, slot: Slot) -> None:
        self._engine = engine
        self._slot = slot

    def advance(self, ids: list[int]) -> Tensor:
        logits = self._engine.forward([ids], self._slot.rows, len(self._slot.tokens))
        self._slot.append(ids)
        return logits


class BranchLane:
    """Several candidates, each behind a copy of the slot's prompt.

    There is one set of branch rows. When an urgent request took it over in between, the next
    advance copies the prompt again and runs all tokens since then in one step.
    """

    def __init__(self, engine: Engine, slot: Slot, count: int) -> None:
        self._engine = engine
        self._slot = slot
        self._prompt_length = len(slot.tokens)
        self._grown: list[list[int]] = [[] for _ in range(count)]
        self._rows: Rows | None = None

    def advance(self, ids: list[int]) -> Tensor:
        for row, token in zip(self._grown, ids, strict=True):
            row.append(token)
        if self._rows is None or self._engine.branches_held_by is not self:
            count = len(self._grown)
            self._rows = self._engine.cache.branch(self._slot, self._prompt_length, count)
            self._engine.branches_held_by = self
            return self._engine.forward(self._grown, self._rows, self._prompt_length)
        start = self._prompt_length + len(self._grown[0]) - 1
        return self._engine.forward([[token] for token in ids], self._rows, start)


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Without blank ones and without the later of two that are the same text."""
    by_text: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.text.strip():
            by_text.setdefault(candidate.text, candidate)
    return list(by_text.values())
