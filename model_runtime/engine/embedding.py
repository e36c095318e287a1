"""One request for vectors, a batch of its texts at a time, and the model that makes them.

The engine's thread is the only caller: the embedding model is a second one beside the model that
writes, and both compute on one device, so that what somebody waits for goes between two batches.
"""

from __future__ import annotations

from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Spent
from model_runtime.engine.scheduler import Job, failure
from model_runtime.errors import BadPromptError
from model_runtime.folders.text_encoder import TextEncoder
from model_runtime.hub import cache
from model_runtime.logs import LOG
from model_runtime.wire.protocol import MOST_TEXTS, Embed, Embedding, Failure, Reason

NO_MODEL = "An embedding model must be named, such as codet5p-110m-embedding."


class Embedder:
    """Has the embedding model that was asked for last."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._name = ""
        self._encoder: TextEncoder

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
        if name != self._name:
            folder = cache.folder_of(name)
            self._name = ""
            self._encoder = TextEncoder.load(folder, self._device.place, self._device.dtype)
            self._name = name
            LOG.info("embedding model %s", self._encoder.description)
        return self._encoder


class EmbeddingRun:
    """`spent` is what it has cost up to now. begin() and step() may raise RuntimeFailure."""

    def __init__(self, job: Job, request: Embed, embedder: Embedder) -> None:
        self.job = job
        self.spent = Spent()
        self._request = request
        self._embedder = embedder
        self._late = False
        self._batches: list[list[int]] = []
        self._texts: list[list[int]] = []
        self._vectors: list[bytes] = []
        self._dimensions = 0
        self._model = ""

    @property
    def finished(self) -> bool:
        return not self._batches

    def begin(self) -> None:
        """Load the model if it is another, and make tokens of the texts."""
        if len(self._request.texts) > MOST_TEXTS:
            raise BadPromptError(
                f"{len(self._request.texts)} texts are too many at once; send at most {MOST_TEXTS}."
            )
        encoder = self._embedder.encoder(self._request.model)
        self._dimensions, self._model = encoder.dimensions, encoder.identity
        self._texts = encoder.tokens(self._request.texts)
        self._vectors = [b""] * len(self._texts)
        self._batches = batches(list(map(len, self._texts)), self._embedder.batch_tokens)

    def step(self) -> None:
        """Run the next batch."""
        batch = self._batches.pop()
        encoder = self._embedder.encoder(self._request.model)
        vectors = encoder.vectors([self._texts[number] for number in batch])
        for number, vector in zip(batch, vectors.cpu().numpy().astype("<f4"), strict=True):
            self._vectors[number] = vector.tobytes()
        self.spent.step(self.job.cancelled is not None)

    def give_way(self) -> None:
        """It holds no rows of the KV cache."""

    def end_late(self) -> None:
        """Some of the vectors are no answer."""
        self._late = True
        self._batches = []

    def answer(self) -> Embedding | Failure:
        if self._late:
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
