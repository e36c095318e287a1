"""The one thread that writes, a turn at a time: schedule, run, emit.

A turn admits the urgent jobs there is room for, runs one chunk of one prompt, and then one step in
which every request that decodes gets its next tokens. Before each of the two it looks at the cancel
flags and the deadlines, so that no one waits longer than a chunk. Batch requests give their place
to interactive ones: in a shared step on a CPU each more row takes time from the others, and who
types should not notice them. It knows no socket and no client. The daemon starts it once the model
is loaded; generation.py says what a request wants run, runs.py what its failure costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from model_runtime import logs
from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Work
from model_runtime.engine.embedding import Embedder
from model_runtime.engine.generation import Generation
from model_runtime.engine.pace import Pace
from model_runtime.engine.runs import Runs
from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.engine.states import Piece
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.graphs import CudaCapture, DecodeGraphs
from model_runtime.networks.kv_cache import KVCache
from model_runtime.recall.memory import Memory
from model_runtime.wire.protocol import Generate, Reply


class Engine:
    """`emit` gets every Chunk and, once a job, its Result or Failure; it must not block.

    `embedder` and `memory` serve the same clients, each in a thread of its own.
    """

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
        self.pace = Pace()
        self.graphs = None
        if device.place.type == "cuda" and model.network.recordable:
            self.graphs = DecodeGraphs(model.network, CudaCapture())
        # A graph replays one token a row.
        self.drafting = self.graphs is None
        self.embedder = Embedder(device, scheduler, emit, work)
        self.runs = Runs[Generation](scheduler, emit, work)

    def run(self) -> None:
        """Serve jobs until the scheduler is closed. Raises GivenUpError."""
        self.runs.serve(self.turn)

    def failed(self) -> dict[str, int]:
        """What went wrong beside requests, which are counted as answers; for the status."""
        turns = self.runs.failed_turns + self.embedder.runs.failed_turns
        return {"turns": turns, "letters": self.memory.failed}

    @torch.inference_mode()
    def prove(self) -> None:
        """Run one token. Before the first request it loads the kernels, so that no user waits for
        them; behind a failure it says whether more than that request is broken, and raises."""
        tokenizer = self.model.tokenizer
        ids = [*tokenizer.encode("x"), tokenizer.end_of_text][:1]
        if (slot := self.cache.acquire(ids)) is not None:
            try:
                self._forward([ids], [slot.index], 0)
            finally:
                slot.release()

    @torch.inference_mode()
    def turn(self) -> bool:
        """Schedule, run, emit. Waits while there is nothing; False once the scheduler is closed."""
        self._part()
        if not self._admit():
            return False
        active = self.runs.in_turn()
        self._prefill(active)
        self._part()
        self._step([one for one in active if one in self.runs.running])
        self._part()
        return True

    # --- schedule -----------------------------------------------------------------------------

    def _admit(self) -> bool:
        """Take jobs up to the number of slots; False when there will never be one again."""
        if not self.runs.running:
            job = self.scheduler.take(Generate)
            if job is None:
                return False
            self._begin(job)
        urgent = sum(one.job.urgent for one in self.runs.running)
        for _ in range(self.cache.slots - urgent):
            if (job := self.scheduler.take(Generate, beside=True)) is None:
                break
            self._begin(job)
        return True

    def _begin(self, job: Job) -> None:
        if isinstance(request := job.request, Generate):
            show, clock = partial(self.emit, job), self.scheduler.clock
            parts = self.model, self.cache, self.memory, self.pace
            self.runs.begin(job, lambda: Generation(job, request, *parts, clock, show))

    def _part(self) -> None:
        """Answer those that are at their end. After a failure make do with the memory there is,
        and see whether the engine still works."""
        if self.runs.memory_ran_out:
            self._shrink()
            self.runs.memory_ran_out = False
        if self.runs.doubted:
            self.prove()
            self.runs.doubted = False
        self.runs.part()

    def _shrink(self) -> None:
        """Go on with a smaller KV cache; what runs comes back to it and runs its tokens again."""
        for one in self.runs.running:
            one.give_way()
        if self.graphs is not None:
            self.graphs.clear()
        try:
            if self.cache.shrink():
                logs.LOG.warning("out of memory: the KV cache is now %s", self.cache.description)
        except (MemoryError, RuntimeError) as error:
            logs.failure("the KV cache can't be made smaller", error)
            self.runs.fail(error)

    # --- run ----------------------------------------------------------------------------------

    def _prefill(self, active: Sequence[Generation]) -> None:
        """One chunk of the first prompt that has more than a token to run."""
        for generation, piece in self._pieces(active):
            if piece.length > 1:
                with self.runs.at_the_cost_of(generation.job):
                    began = self.scheduler.clock()
                    logits = self._forward(piece.ids, piece.rows, piece.start)
                    tokens = piece.length * len(piece.rows)
                    self.pace.passed(tokens, self.scheduler.clock() - began)
                    generation.take(piece, logits)
                return

    def _step(self, active: Sequence[Generation]) -> None:
        """The next token of all that have only one to run, in one pass."""
        pairs = [pair for pair in self._pieces(active) if pair[1].length == 1]
        pairs.sort(key=lambda pair: pair[1].rows)  # neighbours beside each other
        if not pairs:
            return
        with self.runs.at_the_cost_of(*(one.job for one, _ in pairs)):
            if self.drafting and len(self.runs.running) == 1:
                pairs = [(generation, generation.with_draft(piece)) for generation, piece in pairs]
            first = 0
            logits = self._decode([piece for _, piece in pairs])
            for generation, piece in pairs:
                part = logits[first : first + len(piece.rows) + piece.drafted]
                first += len(piece.rows)
                with self.runs.at_the_cost_of(generation.job):
                    generation.take(piece, part)

    def _pieces(self, active: Sequence[Generation]) -> Iterator[tuple[Generation, Piece]]:
        for generation in active:
            piece = None
            with self.runs.at_the_cost_of(generation.job):
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

    def _forward(self, ids: list[list[int]], rows: list[int], start: int) -> Tensor:
        """Ids [B, T] at `start` of each row: the last position's logits [B, V], when it is done.

        Rows that lie apart run after each other.
        """
        everything, first, found = torch.tensor(ids, device=self.device.place), 0, []
        for count, neighbours in self.cache.neighbours(rows):
            part = everything[first : first + count]
            found.append(self.model.network(part, neighbours, start))
            first += count
        logits = torch.cat(found)
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
            return self._forward(ids, numbers, starts[0])
        logits = self.model.network.step(
            torch.tensor(ids, device=place).squeeze(1),
            torch.tensor(starts, device=place),
            rows,
            max(starts) + 1,
        )
        self.device.wait()
        return logits


def _cache(model: LoadedModel, device: Device) -> KVCache:
    config, kv = model.config, model.kv
    return KVCache(
        layers=config.kv_layers,
        heads=config.kv_heads,
        head_dim=config.head_dim,
        context=kv.context,
        slots=kv.slots,
        branches=kv.branches,
        dtype=getattr(torch, kv.dtype),
        device=device.place,
    )
