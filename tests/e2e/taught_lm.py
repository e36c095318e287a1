"""A small Qwen2 of transformers that was taught by heart what stands at a few cursors.

A folder as the hub has them: its network is transformers' own, its prompts are the fill-in-the-
middle prompts of its family. It learns the answers alone, in a few seconds on one thread.
"""

from __future__ import annotations

from pathlib import Path

import taught
import tiny_hub
import torch

from model_runtime.prompts import fim
from model_runtime.prompts.rendering import render
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate

Lesson = tuple[str, str, str]


def write_folder(folder: Path, lessons: list[Lesson]) -> Path:
    """A model that fills in, greedily, each lesson's text between its prefix and its suffix."""
    torch.set_num_threads(1)
    tiny_hub.write_folder(folder, "qwen2")
    tokenizer = Tokenizer.from_json(folder / "tokenizer.json", end_of_text=0)
    family = fim.family("qwen-coder")
    rows = []
    for prefix, middle, suffix in lessons:
        request = Generate(0, prefix, suffix, language="Python")
        prompt = render(family, tokenizer, request, tiny_hub.CONTEXT).ids
        rows.append((prompt, [*tokenizer.encode(middle), tokenizer.end_of_text]))
    lm = tiny_hub.network(
        "qwen2", tokenizer.vocab_size, std=0.05, hidden_size=64, intermediate_size=128
    )
    taught.teach(lm.requires_grad_(True), lambda ids: lm(input_ids=ids).logits, rows)
    lm.requires_grad_(False)
    return tiny_hub.write_folder(folder, "qwen2", lm=lm)
