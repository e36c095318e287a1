"""Vectors for texts: the thread that makes them, one request a batch at a time, and its model.

The embedding model is a second one beside the model that writes. Both compute on one device, so
that no batch of what can wait begins while somebody waits for text. It knows no socket and no
client. The daemon starts the thread.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from model_runtime import logs
from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Spent, Work
from model_runtime.engine.runs import Runs
from model_runtime.engine.scheduler import Job, Scheduler, failure
from model_runtime.errors import BadPromptError
from model_runtime.folders.text_encoder import TextEncoder
from model_runtime.hub import cache
from model_runtime.logs import LOG
from model_runtime.wire.protocol import MOST_TEXTS, Embed, Embedding, Failure, Reason, Reply

NO_MODEL = "An embedding model must be named, such as codet5p-110m-embedding."


class Embedder:
    """The thread's. `emit` gets the Embedding or Failure of each job and must not block."""

    def __init__(
        self,
        device: Device,
        scheduler: Scheduler,
        emit: Callable[[Job, Reply], None],
        work: Work,
    ) -> None:
        self.encoders = Encoders(device)
        self.runs = Runs[EmbeddingRun](scheduler, emit, work)
        self._scheduler = scheduler

    def run(self) -> None:
        """Serve jobs until the scheduler is closed. Raises GivenUpError."""
        self.runs.serve(self.turn)

    @torch.inference_mode()
    def turn(self) -> bool:
        """Take, run a batch, emit. Waits while there is nothing; False once it is closed."""
        if self.runs.doubted or self.runs.memory_ran_out:
            self.encoders.prove()
            self.runs.doubted = self.runs.memory_ran_out = False
        self.runs.part()
        if not self._admit():
            return False
        for run in self.runs.in_turn()[:1]:
            if not run.finished and self._scheduler.let_pass(run.job):
                with self.runs.at_the_cost_of(run.job):
                    run.step()
        self.runs.part()
        return True

    def _admit(self) -> bool:
        """Take a job, and urgent ones beside it; False when there will never be one again."""
        if not self.runs.running:
            job = self._scheduler.take(Embed)
            if job is None:
                return False
            self._begin(job)
        while (job := self._scheduler.take(Embed, beside=True)) is not None:
            self._begin(job)
        return True

    def _begin(self, job: Job) -> None:
        if isinstance(request := job.request, Embed):
            self.runs.begin(job, lambda: EmbeddingRun(job, request, self.encoders))


class Encoders:
    """Has the embedding model that was asked for last."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._name = ""
        self._encoder: TextEncoder | None = None

    @property
    def batch_tokens(self) -> int:
        """A batch is one prefill chunk, padding included.

        An encoder as large as CodeT5+'s, of 110 M parameters, takes 0.3 s for the 128 tokens of a
        CPU's chunk, on one core; batches of 512 tokens are no faster.
        """
        return self._device.prefill_chunk

    def encoder(self, name: str) -> TextEncoder:
        """The model of that name, loaded when it is another than before. Raises RuntimeFailure."""
        if not name:
            raise BadPromptError(NO_MODEL)
        if self._encoder is None or name != self._name:
            folder = cache.folder_of(name)
            self._encoder = None
            self._encoder = TextEncoder.load(folder, self._device.place, self._device.dtype)
            self._name = name
            LOG.info("embedding model %s", self._encoder.description)
        return self._encoder

    def prove(self) -> None:
        """Behind a failure: a model that can't take the easiest text is loaded anew next time."""
        try:
            if self._encoder is not None:
                self._encoder.vectors(self._encoder.tokens(["x"]))
        except BaseException as error:  # a panic in Rust is no Exception
            logs.failure("the embedding model failed", error)
            self._encoder = None


class EmbeddingRun:
    """`spent` is what it has cost up to now.

    To make one loads the model if it is another, and makes tokens of the texts. Everything may
    raise RuntimeFailure.
    """

    def __init__(self, job: Job, request: Embed, encoders: Encoders) -> None:
        if len(request.texts) > MOST_TEXTS:
            raise BadPromptError(
                f"{len(request.texts)} texts are too many at once; send at most {MOST_TEXTS}."
            )
        self.job = job
        self.spent = Spent()
        self._request = request
        self._encoders = encoders
        encoder = encoders.encoder(request.model)
        self._dimensions, self._model = encoder.dimensions, encoder.identity
        self._texts = encoder.tokens(request.texts)
        self._vectors = [b""] * len(self._texts)
        self._batches = batches(list(map(len, self._texts)), encoders.batch_tokens)

    @property
    def finished(self) -> bool:
        return not self._batches

    def step(self) -> None:
        """Run the next batch."""
        batch = self._batches.pop()
        encoder = self._encoders.encoder(self._request.model)
        vectors = encoder.vectors([self._texts[number] for number in batch])
        for number, vector in zip(batch, vectors.cpu().numpy().astype("<f4"), strict=True):
            self._vectors[number] = vector.tobytes()
        self.spent.step(self.job.cancelled is not None)

    def give_way(self) -> None:
        """It holds no rows of the KV cache."""

    def answer(self, *, late: bool = False) -> Embedding | Failure:
        """Some of the vectors are none."""
        if late:
            return failure(self.job, Reason.DEADLINE)
        vectors = b"".join(self._vectors)
        return Embedding(
            self._request.id, len(self._vectors), self._dimensions, vectors, self._model
        )


def batches(lengths: list[int], most: int) -> list[list[int]]:
    """The numbers of the texts in batches of like lengths, the shortest ones last.

    A batch takes at most `most` tokens, each text padded to its longest; a text that is longer is
    a batch by itself.
    """
    found: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number], reverse=True):
        # The first of a batch is its longest.
        if found and lengths[found[-1][0]] * (len(found[-1]) + 1) <= most:
            found[-1].append(number)
        else:
            found.append([number])
    return found
