"""The network alone beside its peers: milliseconds of a prompt, tokens a second behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from benchmarks.model import ours_alone, transformers_alone
from model_runtime.engine import Engine

RUNS = 3


def measure(engine: Engine, prompt: int, new: int) -> dict[str, tuple[float, float]]:
    """(prefill ms, tokens a second) by name; all take turns."""
    ways = {
        "codegeex-runtime": ours_alone(engine.model, prompt),
        "transformers generate()": transformers_alone(engine.model.config, prompt),
    }
    first: dict[str, list[float]] = {name: [] for name in ways}
    rest: dict[str, list[float]] = {name: [] for name in ways}
    for generate in ways.values():
        generate(2)
    for _ in range(RUNS):
        for name, generate in ways.items():
            begun = _seconds(generate, 1)
            first[name].append(begun)
            rest[name].append(_seconds(generate, new + 1) - begun)
    return {name: (median(first[name]) * 1000, new / median(rest[name])) for name in ways}


def _seconds(generate: Callable[[int], None], tokens: int) -> float:
    begin = time.process_time()
    with torch.inference_mode():
        generate(tokens)
    return time.process_time() - begin
