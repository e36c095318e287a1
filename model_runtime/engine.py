"""The one thread that runs the model: take a job from the scheduler, run it, emit the answer.

Before every prefill chunk and every decode step it looks at the cancel flag, the deadline and at
more urgent jobs, which it runs in between, in a KV slot of their own. It knows no socket and no
client. The daemon starts it once the model is loaded; generation.py runs a single request.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from model_runtime import logs
from model_runtime.counters import Work
from model_runtime.device import Device
from model_runtime.errors import RuntimeFailure
from model_runtime.fit import cache_rows
from model_runtime.generation import BranchLane, CancelledError, Generation
from model_runtime.kv_cache import KVCache, Rows
from model_runtime.protocol import Chunk, Failure, Reason, Result
from model_runtime.scheduler import Job, Scheduler, failure
from model_runtime.weights import LoadedModel

Reply = Chunk | Result | Failure


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
        self.cache, self.branches = _cache(model, device)
        self.branches_held_by: BranchLane | None = None
        self._work = work

    def run(self) -> None:
        """Serve jobs until the scheduler is closed."""
        while (job := self.scheduler.take()) is not None:
            self.serve(job)

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Run one token, so that no user waits for the first kernels to be loaded."""
        ids = [self.model.tokenizer.end_of_text]
        if (slot := self.cache.acquire(ids)) is not None:
            self.forward([ids], slot.rows, 0)
            slot.release()

    @torch.inference_mode()
    def serve(self, job: Job) -> None:
        """Run one job and answer it; whatever goes wrong in it stays in it."""
        generation = Generation(self, job)
        reply = self._reply(job, generation)
        if job.cancelled is not None:
            reply = failure(job, job.cancelled)
            elapsed = self.scheduler.clock() - job.cancelled_at
            self._work.freed(generation.spent, elapsed * 1000)
        self._work.add(generation.spent)
        self.scheduler.finish(job)
        self.emit(job, reply)

    def serve_urgent(self, running: Job) -> None:
        """Run everything more urgent than `running` first."""
        while (job := self.scheduler.take(above=running)) is not None:
            self.serve(job)

    def forward(self, ids: list[list[int]], rows: Rows, start: int) -> Tensor:
        """One step: ids [B, T] at `start`; the last position's logits [B, V], when it is done."""
        logits: Tensor = self.model.network(
            torch.tensor(ids, device=self.device.place), rows, start
        )
        self.device.wait()
        return logits

    def _reply(self, job: Job, generation: Generation) -> Result | Failure:
        try:
            return generation.run()
        except CancelledError:
            return failure(job, Reason.CANCELLED)
        except RuntimeFailure as refused:
            return Failure(job.request.id, Reason.BAD_REQUEST, str(refused))
        except Exception as error:  # one broken request must not end the engine
            logs.failure("a request failed", error)
            return _broken(job, error)


def _broken(job: Job, error: Exception) -> Failure:
    # torch.OutOfMemoryError is the GPU's; the CPU allocator raises a plain RuntimeError.
    out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
    if out_of_memory:
        message = "The model ran out of memory; a smaller model or a shorter context needs less."
        return Failure(job.request.id, Reason.OUT_OF_MEMORY, message)
    message = f"The engine failed with {type(error).__name__}; the runtime's log says where."
    return Failure(job.request.id, Reason.ENGINE_ERROR, message)


def _cache(model: LoadedModel, device: Device) -> tuple[KVCache, int]:
    """The cache and how many candidates it has branch rows for."""
    config = model.config
    slots, branches = cache_rows(config, device.dtype)
    cache = KVCache(
        layers=config.num_layers + 1,  # the top query layer has keys and values too
        heads=config.num_attention_heads,
        head_dim=config.head_dim,
        context=config.max_position_embeddings,
        slots=slots,
        branches=branches,
        dtype=device.dtype,
        device=device.place,
    )
    return cache, branches
