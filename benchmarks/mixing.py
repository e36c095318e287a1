"""Fits the weights of Trust to a model on a tuning set: what goes into its config.json.

    python -m benchmarks.mixing FOLDER [--model FOLDER] [--cursors 700] [--seed 11]

FOLDER is like that of `scripts/bench quality` and must share no package with it. At every token of
the lines taken out, the weights are to make the true one most probable in the mixture; a third of
the cursors has no other file open, a third five, a third up to twenty.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.cursors import Cursor, choose, read
from model_runtime.decoding.mixing import Mixer, Trust, features_of
from model_runtime.device import choice
from model_runtime.folders import loaded, opening
from model_runtime.networks.kv_cache import KVCache
from model_runtime.options import DEFAULT_MODEL
from model_runtime.prompts import rendering
from model_runtime.recall.mailbox import Letter
from model_runtime.recall.memory import Memory
from model_runtime.wire.protocol import Generate

CLIENT = 1
OPEN_FILES = (0, 5, 20)
LINE_TOKENS = 24
# The mixture's true token may be in neither; it then costs this much and no more.
LEAST = 1e-6


@dataclass(frozen=True)
class Place:
    """What is known where a token is chosen, and what both gave the true one."""

    features: tuple[float, ...]
    network: float
    memory: float


class Reader:
    """Runs the network along true lines; one at a time."""

    def __init__(self, model: loaded.LoadedModel) -> None:
        self.model = model
        self.memory = Memory(model.tokenizer)
        config = model.config
        self._cache = KVCache(
            layers=config.num_layers + 1,
            heads=config.num_attention_heads,
            head_dim=config.head_dim,
            context=config.max_position_embeddings,
            slots=1,
            branches=0,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )

    @torch.inference_mode()
    def places(self, cursor: Cursor, open_files: int) -> Iterator[Place]:
        """Those of one line where the memory has something to say."""
        tokenizer = self.model.tokenizer
        self.memory.take(Letter(CLIENT))
        for path in cursor.others[:open_files]:
            self.memory.take(Letter(CLIENT, path.as_uri(), read(path)))
        recall = self.memory.recall(CLIENT, "", *cursor.request_texts)
        end = tokenizer.end_of_text
        mixer = Mixer(recall, Trust(0, 0, 0, 0, 0), end)
        line = [*tokenizer.encode(cursor.gold)[:LINE_TOKENS], end]
        for index, logits in enumerate(self._logits(cursor, line)):
            sides = mixer.sides(logits, line[:index])
            if sides.guess is not None:
                yield Place(
                    features_of(sides.guess, sides.shares, sides.surest),
                    float(sides.network[line[index]]),
                    sides.shares.get(line[index], 0.0),
                )

    def _logits(self, cursor: Cursor, line: list[int]) -> Iterator[Tensor]:
        """Those before each token of the line."""
        before, behind = cursor.request_texts
        request = Generate(1, before, behind, language=cursor.language)
        room = self.model.config.max_position_embeddings - len(line)
        prompt = rendering.render(self.model.format, self.model.tokenizer, request, room).ids
        slot = self._cache.acquire(prompt)
        assert slot is not None
        ids, start = prompt[slot.reused :], slot.reused
        for token in line:
            yield self.model.network(torch.tensor([ids]), slot.rows, start)[0]
            slot.append(ids)
            start += len(ids)
            ids = [token]
        slot.release()


def fit(places: list[Place]) -> tuple[Trust, float]:
    """The weights, and the nats a token that the mixture costs with them."""
    features = torch.tensor([place.features for place in places])
    network = torch.tensor([place.network for place in places])
    memory = torch.tensor([place.memory for place in places])
    weight = torch.zeros(features.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        share = torch.sigmoid(features @ weight)
        return -(share * memory + (1 - share) * network + LEAST).log().mean()

    def step() -> float:
        search.zero_grad()
        found = loss()
        found.backward()  # type: ignore[no-untyped-call]
        return float(found.detach())

    search.step(step)
    return Trust(*(round(value, 3) for value in weight.tolist())), float(loss().detach())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixing")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--cursors", type=int, default=700)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    chosen = choice.choose("cpu")  # which sets the threads too
    model = opening.load(options.model, chosen.place, torch.float32)
    reader = Reader(model)
    cursors = choose(options.folder, options.cursors, options.seed)
    places = [
        place
        for number, cursor in enumerate(cursors)
        for place in reader.places(cursor, OPEN_FILES[number % len(OPEN_FILES)])
    ]
    trust, nats = fit(places)
    alone = -sum(math.log(place.network + LEAST) for place in places) / len(places)
    print(f"{len(places)} tokens: {alone:.3f} nats alone, {nats:.3f} mixed")
    print(
        json.dumps({"trust": {field.name: getattr(trust, field.name) for field in fields(trust)}})
    )


if __name__ == "__main__":
    main()
