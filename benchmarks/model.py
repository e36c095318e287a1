"""Tokens per second of the embedded model beside transformers' generate().

The peer is a GPT-2 of the same dimensions with random weights: the same work a token, in the same
precision, with the same threads, in the same process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.table import ratio, row, title
from model_runtime import options
from model_runtime.device import choice
from model_runtime.folders import native, opening
from model_runtime.networks.kv_cache import KVCache

PROMPT = 384
NEW = 64
RUNS = 5


def measure() -> None:
    chosen = choice.choose("cpu")
    model = opening.load(options.DEFAULT_MODEL, chosen.place, chosen.dtype)
    size = f"{PROMPT} tokens of prompt, {NEW} new, median of {RUNS}; {chosen.reason}"
    title(f"The network alone: {size}", "prefill", "tokens/s")
    ours = _timed(ours_alone(model.network, PROMPT))
    theirs = _timed(transformers_alone(model.config, PROMPT))
    row("codegeex-runtime", f"{ours[0] * 1000:.1f} ms", f"{NEW / ours[1]:.0f}")
    row("transformers generate()", f"{theirs[0] * 1000:.1f} ms", f"{NEW / theirs[1]:.0f}")
    row("ratio", ratio(ours[0], theirs[0]), ratio(ours[1], theirs[1]))


def _timed(generate: Callable[[int], None]) -> tuple[float, float]:
    """Seconds for the prompt and one token, and for NEW tokens after it."""
    generate(2)
    first, all_ = [], []
    for _ in range(RUNS):
        for tokens, seconds in ((1, first), (NEW + 1, all_)):
            begin = time.perf_counter()
            generate(tokens)
            seconds.append(time.perf_counter() - begin)
    return median(first), median(all_) - median(first)


def ours_alone(network: Any, length: int) -> Callable[[int], None]:
    """Runs a prompt of `length` tokens and generates as many as it is told, greedily."""
    config = network.config
    cache = KVCache(
        layers=config.num_layers + 1,
        heads=config.num_attention_heads,
        head_dim=config.head_dim,
        context=config.max_position_embeddings,
        slots=1,
        branches=1,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    prompt = torch.randint(100, 8000, (1, length))

    @torch.inference_mode()
    def generate(tokens: int) -> None:
        slot = cache.acquire(prompt[0].tolist())
        assert slot is not None
        logits = network(prompt, slot.rows, 0)
        for position in range(length, length + tokens - 1):
            logits = network(logits.argmax(-1, keepdim=True), slot.rows, position)
        slot.release()

    return generate


def transformers_alone(config: native.CodeGeeXConfig, length: int) -> Callable[[int], None]:
    """The same by transformers."""
    peer = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.max_position_embeddings,
            n_embd=config.hidden_size,
            n_layer=config.num_layers + 1,
            n_head=config.num_attention_heads,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    prompt = torch.randint(100, 8000, (1, length))
    mask = torch.ones_like(prompt)

    @torch.inference_mode()
    def generate(tokens: int) -> None:
        peer.generate(
            prompt,
            attention_mask=mask,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )

    return generate
