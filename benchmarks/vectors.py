"""Vectors for a benchmark's places and questions, by the runtime's own embedding model."""

from __future__ import annotations

from collections.abc import Sequence

from codegeex_lsp.index.workspace import Workspace
from model_runtime.device.choice import choose
from model_runtime.engine.embedding import Encoders, batches
from model_runtime.hub import cache, catalogue
from model_runtime.hub.catalogue import Ability

AT_ONCE = 256


def installed() -> str:
    """The embedding model of the catalogue that is here; "" for none."""
    found = (model.name for model in catalogue.able(Ability.EMBED) if cache.installed(model))
    return next(found, "")


class Encoder:
    """`name` is a folder, or a model of the catalogue."""

    def __init__(self, name: str) -> None:
        self._encoders = Encoders(choose("auto"))
        self._encoder = self._encoders.encoder(name)
        self.model = self._encoder.identity
        self.description = self._encoder.description

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        tokens = self._encoder.tokens(texts)
        made: list[list[float]] = [[] for _ in texts]
        for batch in batches(list(map(len, tokens)), self._encoders.batch_tokens):
            rows = self._encoder.vectors([tokens[number] for number in batch]).tolist()
            for number, row in zip(batch, rows, strict=True):
                made[number] = row
        return made

    def complete(self, one: Workspace) -> int:
        """Give every place of the index its vector; answers how many texts there were."""
        count = 0
        while texts := one.lacking(self.model, AT_ONCE):
            made = self.vectors([text for _, text in texts])
            one.embedded(self.model, zip((key for key, _ in texts), made, strict=True))
            count += len(texts)
        return count
