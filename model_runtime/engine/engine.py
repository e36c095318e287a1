"""The one thread that runs the model, a turn at a time: schedule, run, emit.

A turn admits the urgent jobs there is room for, runs one chunk of one prompt, and then one step in
which every request that decodes gets its next tokens. Before each of the two it looks at the cancel
flags and the deadlines, so that no one waits longer than a chunk. Batch requests give their place
to interactive ones: in a shared step on a CPU each more row takes time from the others, and who
types should not notice them. It knows no socket and no client. The daemon starts it once the model
is loaded; generation.py says what a request wants run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from model_runtime import logs
from model_runtime.device.kinds import Device
from model_runtime.device.memory import out_of_memory
from model_runtime.engine.counters import Work
from model_runtime.engine.embedding import Embedder, EmbeddingRun
from model_runtime.engine.generation import Generation, Piece
from model_runtime.engine.scheduler import Job, Scheduler, failure
from model_runtime.errors import RuntimeFailure
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.graphs import CudaCapture, DecodeGraphs
from model_runtime.networks.kv_cache import KVCache, Rows
from model_runtime.networks.kv_size import cache_rows, kv_dtype
from model_runtime.recall.memory import Memory
from model_runtime.wire.protocol import Embed, Embedding, Failure, Reason, Reply, Result

Run = Generation | EmbeddingRun

_MESSAGES = {
    Reason.OUT_OF_MEMORY: "The model ran out of memory; a shorter text or a smaller model needs "
    "less.",
    Reason.ENGINE_ERROR: "The engine failed with {kind}; the runtime's log says where.",
}


class Engine:
    """`emit` gets every Chunk and, once a job, its Result or Failure; it must not block."""

    def __init__(
        self,
        model: LoadedModel,
        device: Device,
        scheduler: Scheduler,
        emit: Callable[[Job, Reply], None],
        work: Work,
    ) -> None:
        self.model = model
        self.device = device
        self.scheduler = scheduler
        self.emit = emit
        self.cache = _cache(model, device)
        self.memory = Memory(model.tokenizer)
        self.graphs = None
        if device.place.type == "cuda" and model.network.recordable:
            self.graphs = DecodeGraphs(model.network, CudaCapture())
        # A graph replays one token a row.
        self.drafting = self.graphs is None
        self.embedder = Embedder(device)
        self.running: list[Run] = []
        self._out_of_memory = False
        self._work = work

    def run(self) -> None:
        """Serve jobs until the scheduler is closed."""
        while self.turn():
            pass

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Run one token, so that no user waits for the first kernels to be loaded."""
        ids = [self.model.tokenizer.end_of_text]
        if (slot := self.cache.acquire(ids)) is not None:
            self._forward([ids], slot.rows, 0)
            slot.release()

    @torch.inference_mode()
    def turn(self) -> bool:
        """Schedule, run, emit. Waits while there is nothing; False once the scheduler is closed."""
        self._part()
        if not self._admit():
            return False
        self._part()  # a copy needs no turn
        active = self._active()
        self._embed(active)
        self._prefill(active)
        self._part()
        self._step([one for one in active if one in self.running])
        self._part()
        return True

    # --- schedule -----------------------------------------------------------------------------

    def _admit(self) -> bool:
        """Take jobs up to the number of slots; False when there will never be one again."""
        if not self.running:
            job = self.scheduler.take()
            if job is None:
                return False
            self._begin(job)
        urgent = sum(one.job.urgent for one in self.running)
        for _ in range(self.cache.slots - urgent):
            if (job := self.scheduler.take(beside=True)) is None:
                break
            self._begin(job)
        return True

    def _begin(self, job: Job) -> None:
        run: Run
        request, clock = job.request, self.scheduler.clock
        if isinstance(request, Embed):
            run = EmbeddingRun(job, request, self.embedder)
        else:
            show = partial(self.emit, job)
            run = Generation(job, request, self.model, self.cache, self.memory, clock, show)
        self.running.append(run)
        with self._at_the_cost_of(run):
            run.begin()

    def _active(self) -> list[Run]:
        """Those whose turn it is; the others give way."""
        urgent = [one for one in self.running if one.job.urgent]
        if not urgent:
            return list(self.running)
        for one in self.running:
            if not one.job.urgent:
                one.give_way()
        return urgent

    def _part(self) -> None:
        """Answer those that are finished, cancelled or late; make do with the memory there is."""
        if self._out_of_memory:
            self._shrink()
        for one in list(self.running):
            if one.job.cancelled is not None:
                elapsed = self.scheduler.clock() - one.job.cancelled_at
                self._work.freed(one.spent, elapsed * 1000)
                self._end(one, failure(one.job, one.job.cancelled))
            elif one.finished:
                self._end(one, one.answer())
            elif one.job.expired(self.scheduler.clock()):
                one.end_late()
                self._end(one, one.answer())

    def _end(self, run: Run, reply: Result | Embedding | Failure) -> None:
        run.give_way()
        self.running.remove(run)
        self._work.add(run.spent)
        self.scheduler.finish(run.job)
        self.emit(run.job, reply)

    # --- run ----------------------------------------------------------------------------------

    def _embed(self, active: Sequence[Run]) -> None:
        """One batch of the first texts that are to be embedded."""
        for run in active:
            if isinstance(run, EmbeddingRun) and not run.finished:
                with self._at_the_cost_of(run):
                    run.step()
                return

    def _prefill(self, active: Sequence[Run]) -> None:
        """One chunk of the first prompt that has more than a token to run."""
        for generation, piece in self._pieces(active):
            if piece.length > 1:
                with self._at_the_cost_of(generation):
                    rows = self.cache.rows(piece.rows)
                    generation.take(piece, self._forward(piece.ids, rows, piece.start))
                return

    def _step(self, active: Sequence[Run]) -> None:
        """The next token of all that have only one to run, in one pass."""
        pairs = [pair for pair in self._pieces(active) if pair[1].length == 1]
        pairs.sort(key=lambda pair: pair[1].rows)  # neighbours beside each other
        if not pairs:
            return
        if self.drafting and len(self.running) == 1:
            pairs = [(generation, generation.with_draft(piece)) for generation, piece in pairs]
        with self._at_the_cost_of(*(one for one, _ in pairs)):
            first = 0
            logits = self._decode([piece for _, piece in pairs])
            for generation, piece in pairs:
                part = logits[first : first + len(piece.rows) + piece.drafted]
                first += len(piece.rows)
                with self._at_the_cost_of(generation):
                    generation.take(piece, part)

    def _pieces(self, active: Sequence[Run]) -> Iterator[tuple[Generation, Piece]]:
        for generation in (run for run in active if isinstance(run, Generation)):
            piece = None
            with self._at_the_cost_of(generation):
                piece = generation.piece(self.device.prefill_chunk)
            if piece is not None:
                yield generation, piece

    def _verify(self, piece: Piece) -> Tensor:
        """One row with a draft: the logits [T, V] of all its positions, when it is done."""
        ids = torch.tensor(piece.ids, device=self.device.place)
        rows = self.cache.rows(piece.rows)
        logits: Tensor = self.model.network(ids, rows, piece.start, all_positions=True)
        self.device.wait()
        return logits[0]

    def _forward(self, ids: list[list[int]], rows: Rows, start: int) -> Tensor:
        """Ids [B, T] at `start` of each row: the last position's logits [B, V], when it is done."""
        place = self.device.place
        logits: Tensor = self.model.network(torch.tensor(ids, device=place), rows, start)
        self.device.wait()
        return logits

    def _decode(self, pieces: Sequence[Piece]) -> Tensor:
        """One token a row: the logits [B, V] of all rows of all pieces, when it is done."""
        if pieces[0].drafted:
            return self._verify(pieces[0])
        numbers = [row for piece in pieces for row in piece.rows]
        ids = [row for piece in pieces for row in piece.ids]
        starts = [piece.start for piece in pieces for _ in piece.rows]
        rows, place = self.cache.rows(numbers), self.device.place
        if self.graphs is not None:
            logits = self.graphs.step([id_ for (id_,) in ids], starts, rows)
            self.device.wait()
            return logits
        if rows.index is None and len(set(starts)) == 1:
            return self._forward(ids, rows, starts[0])
        logits = self.model.network.step(
            torch.tensor(ids, device=place).squeeze(1),
            torch.tensor(starts, device=place),
            rows,
            max(starts) + 1,
        )
        self.device.wait()
        return logits

    # --- failures stay in their request ---------------------------------------------------------

    @contextmanager
    def _at_the_cost_of(self, *those: Run) -> Iterator[None]:
        """When the work inside fails, so do these requests, and the engine goes on."""
        try:
            yield
        except RuntimeFailure as refused:
            self._fail(those, Reason.BAD_REQUEST, str(refused))
        except Exception as error:
            logs.failure("a request failed", error)
            reason = Reason.ENGINE_ERROR
            if out_of_memory(error):
                reason = Reason.OUT_OF_MEMORY
                # One request less may be enough; the others run on in a smaller cache.
                self._out_of_memory = True
                those = (max(those, key=lambda one: one.job.arrived),)
            self._fail(those, reason, _MESSAGES[reason].format(kind=type(error).__name__))

    def _fail(self, those: Sequence[Run], reason: Reason, message: str) -> None:
        for one in those:
            self._end(one, Failure(one.job.request.id, reason, message))

    def _shrink(self) -> None:
        """Go on with a smaller KV cache; what runs comes back to it and runs its tokens again."""
        self._out_of_memory = False
        for one in self.running:
            one.give_way()
        if self.graphs is not None:
            self.graphs.clear()
        if self.cache.shrink():
            logs.LOG.warning("out of memory: the KV cache is now %s", self.cache.description)


def _cache(model: LoadedModel, device: Device) -> KVCache:
    config = model.config
    dtype = kv_dtype(config, device.dtype, device.place)
    slots, branches = cache_rows(config, dtype)
    return KVCache(
        layers=config.kv_layers,
        heads=config.kv_heads,
        head_dim=config.head_dim,
        context=config.max_position_embeddings,
        slots=slots,
        branches=branches,
        dtype=dtype,
        device=device.place,
    )
