"""An engine on the tiny network, in the test's own thread, with a say before each step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Work
from model_runtime.engine.engine import Engine
from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.kv_cache import KVCache, Rows
from model_runtime.wire.protocol import Candidate, Chunk, Embedding, Failure, Generate, Result

DEVICE = Device(torch.device("cpu"), torch.float32, 16, "a test")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Steps:
    """The real network, with a say before each step: `before` gets the number of the step.

    `inputs` has the tokens of every step, `shapes` (rows, tokens a row); `change` may rewrite its
    logits.
    """

    def __init__(self, network: Any) -> None:
        self.network = network
        self.before: Callable[[int], None] = lambda number: None
        self.change: Callable[[Tensor], Tensor] = lambda logits: logits
        self.inputs: list[Tensor] = []
        self.shapes: list[tuple[int, int]] = []

    def __call__(self, ids: Tensor, rows: Rows, start: int, **how: bool) -> Tensor:
        self.inputs.append(ids)
        self.shapes.append((ids.shape[0], ids.shape[1]))
        self.before(len(self.shapes))
        return self.change(self.network(ids, rows, start, **how))

    def step(self, ids: Tensor, positions: Tensor, rows: Rows, visible: int) -> Tensor:
        self.inputs.append(ids)
        self.shapes.append((ids.shape[0], 1))
        self.before(len(self.shapes))
        return self.change(self.network.step(ids, positions, rows, visible))


class Bench:
    """An engine in the test's own thread. `said` is all it emitted, in order."""

    def __init__(self, folder: Path, loaded: LoadedModel | None = None, **model: Any) -> None:
        loaded = loaded or tiny.model(folder, **model)
        self.steps = Steps(loaded.network)
        self.clock = Clock()
        self.said: list[tuple[int, Chunk | Result | Failure]] = []
        self.work = Work()
        self.scheduler = Scheduler(self._say, clock=self.clock)
        spied: Any = dataclasses.replace(loaded, network=self.steps)
        self.engine = Engine(spied, DEVICE, self.scheduler, self._say, self.work)

    def _say(self, job: Job, message: Chunk | Result | Failure) -> None:
        self.said.append((job.client, message))

    def with_cache(self, slots: int, branches: int) -> None:
        config = self.engine.model.config
        self.engine.cache = KVCache(
            layers=config.kv_layers,
            heads=config.kv_heads,
            head_dim=config.head_dim,
            context=config.max_position_embeddings,
            slots=slots,
            branches=branches,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )

    def submit(self, number: int, prefix: str = "def f(x):\n", **fields: Any) -> None:
        fields = {"language": "Python", "max_new_tokens": 8, **fields}
        self.scheduler.submit(1, Generate(number, prefix, **fields))

    def serve(self) -> None:
        while self.scheduler.waiting or self.engine.runs.running:
            self.engine.turn()

    def embed(self) -> None:
        """Serve the requests for vectors, in the test's own thread as well."""
        while self.scheduler.waiting or self.engine.embedder.runs.running:
            self.engine.embedder.turn()

    def answer(self, number: int) -> Any:
        """The one answer there must be."""
        (reply,) = [
            message
            for _, message in self.said
            if message.id == number and not isinstance(message, Chunk)
        ]
        assert isinstance(reply, Result | Embedding | Failure)
        return reply

    def result(self, number: int) -> Result:
        reply = self.answer(number)
        assert isinstance(reply, Result), reply
        return reply

    def ask(self, prefix: str = "def f(x):\n", **fields: Any) -> Result:
        reply = self.reply(prefix, **fields)
        assert isinstance(reply, Result), reply
        return reply

    def reply(self, prefix: str = "def f(x):\n", **fields: Any) -> Result | Failure:
        number = len(self.said) + 1000
        self.submit(number, prefix, **fields)
        self.serve()
        return self.answer(number)

    def free_slots(self) -> int:
        taken = []
        while (slot := self.engine.cache.acquire([5])) is not None:
            taken.append(slot)
        for slot in taken:
            slot.release()
        return len(taken)


def assert_same(found: tuple[Candidate, ...], expected: tuple[Candidate, ...]) -> None:
    """Token for token, and the log-probabilities to 1e-4."""
    for one, other in zip(found, expected, strict=True):
        assert dataclasses.replace(one, mean_logprob=None, min_logprob=None) == dataclasses.replace(
            other, mean_logprob=None, min_logprob=None
        )
        assert one.mean_logprob == pytest.approx(other.mean_logprob, abs=1e-4)
        assert one.min_logprob == pytest.approx(other.min_logprob, abs=1e-4)
