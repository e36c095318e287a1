"""The network alone beside its peers: milliseconds of a prompt, tokens a second behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks import llama_cpp_peer
from benchmarks.model import ours_alone, transformers_alone
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX
from model_runtime.networks.onnx_trial import random_int8_network

RUNS = 5
LARGER = CodeGeeXConfig(512, 8, 8, 16384, 1024)


def measure(network: Any, prompt: int, new: int) -> dict[str, tuple[float, float]]:
    """(prefill ms, tokens a second) by name; all take turns."""
    ways = {
        "codegeex-runtime": ours_alone(network, prompt),
        "transformers generate()": transformers_alone(network.config, prompt),
    }
    if llama_cpp_peer.available():
        ways["llama.cpp, Q8_0"] = llama_cpp_peer.llama_cpp_alone(network.config, prompt)
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


def larger_network() -> OnnxCodeGeeX:
    """Of the size that is planned for training on a GPU, 38 million parameters, all random."""
    _, matrices, vectors = random_int8_network(LARGER)
    return OnnxCodeGeeX(LARGER, matrices, vectors)


def _seconds(generate: Callable[[int], None], tokens: int) -> float:
    begin = time.process_time()
    with torch.inference_mode():
        generate(tokens)
    return time.process_time() - begin
