"""A small Qwen2 of transformers that was taught by heart what stands at a few cursors.

A folder as the hub has them: its network is transformers' own, its prompts are the fill-in-the-
middle prompts of its family. It learns the answers alone, in a few seconds on one thread.
"""

from __future__ import annotations

from pathlib import Path

import tiny_hub
import torch
from torch.nn import functional

from model_runtime.prompts import fim
from model_runtime.prompts.rendering import render
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate

Lesson = tuple[str, str, str]
MOST_STEPS = 600
SURE = 0.02


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
    _teach(lm, rows)
    return tiny_hub.write_folder(folder, "qwen2", lm=lm)


def _teach(lm: torch.nn.Module, lessons: list[tuple[list[int], list[int]]]) -> None:
    """Adam on all lessons at once until every token of every answer is nearly certain."""
    lm.requires_grad_(True)
    longest = max(len(prompt) + len(answer) for prompt, answer in lessons) - 1
    ids = torch.zeros(len(lessons), longest, dtype=torch.long)
    wanted = torch.full((len(lessons), longest), -100)
    for row, (prompt, answer) in enumerate(lessons):
        whole = torch.tensor(prompt + answer)
        ids[row, : len(whole) - 1] = whole[:-1]
        wanted[row, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
    optimizer = torch.optim.Adam(lm.parameters(), lr=3e-3)
    for _ in range(MOST_STEPS):
        losses = functional.cross_entropy(
            lm(input_ids=ids).logits.flatten(0, 1),
            wanted.flatten(),
            reduction="none",
            ignore_index=-100,
        )
        if losses.max() < SURE:
            break
        optimizer.zero_grad()
        (losses.sum() / (wanted != -100).sum()).backward()
        optimizer.step()
    assert losses.max() < 0.5, "the lessons were not learnt"
    lm.requires_grad_(False)
