"""A small CodeGeeX that was taught a few answers by heart, as a model folder.

Its network is the real one, its prompts are those of CodeGeeX-13B or of another format. It learns
the answers alone, in a few seconds on one thread, to what the real runtime renders from the real
requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import tiny
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kv_cache import Rows
from model_runtime.prompts.pieces import shown
from model_runtime.prompts.rendering import PromptFormat, render
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate

CONTEXT = 1536
WORDS = 600
HIDDEN = 64
MOST_STEPS = 600
SURE = 0.02

Lesson = tuple[Generate, str]


def write_folder(
    folder: Path, lessons: list[Lesson], format: PromptFormat = PromptFormat.CODEGEEX
) -> Path:
    """A model that gives, greedily, each lesson's answer to its request; returns the folder."""
    torch.set_num_threads(1)
    description = _tokenizer(lessons, format)
    folder.mkdir()
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(description), encoding="utf-8")
    tokenizer = Tokenizer.from_json(path)
    shape = CodeGeeXConfig(HIDDEN, 2, 4, tokenizer.vocab_size, CONTEXT)
    network = _taught(shape, [_tokens(format, tokenizer, *lesson) for lesson in lessons])
    return tiny.write_folder(folder, shape, weights=network, tokenizer=description, format=format)


def _tokenizer(lessons: list[Lesson], format: PromptFormat) -> dict[str, object]:
    """Byte-level BPE of the lessons' own words, so that a prompt is some hundred tokens."""
    texts = [shown(format.prompt(ask).pieces) + answer for ask, answer in lessons]
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    controls = list(dict.fromkeys([*tiny.CONTROLS, *format.controls]))
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS, initial_alphabet=alphabet, special_tokens=controls, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    description: dict[str, object] = json.loads(bpe.to_str())
    return description


def _tokens(
    format: PromptFormat, tokenizer: Tokenizer, ask: Generate, answer: str
) -> tuple[list[int], list[int]]:
    prompt = render(format, tokenizer, ask, CONTEXT).ids
    return prompt, [*tokenizer.encode(answer), tokenizer.end_of_text]


def _taught(shape: CodeGeeXConfig, lessons: list[tuple[list[int], list[int]]]) -> CodeGeeX:
    torch.manual_seed(7)
    network = CodeGeeX(shape)
    for name, parameter in network.named_parameters():
        if "embeddings" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    teach(
        network,
        lambda ids: network(ids, _fresh_rows(shape, ids), 0, all_positions=True),
        lessons,
    )
    return network.requires_grad_(False).eval()


def teach(
    network: torch.nn.Module,
    logits_of: Callable[[Tensor], Tensor],
    lessons: list[tuple[list[int], list[int]]],
) -> None:
    """Adam on all lessons at once until every token of every answer is nearly certain."""
    longest = max(len(prompt) + len(answer) for prompt, answer in lessons) - 1
    ids = torch.zeros(len(lessons), longest, dtype=torch.long)
    wanted = torch.full((len(lessons), longest), -100)
    for row, (prompt, answer) in enumerate(lessons):
        whole = torch.tensor(prompt + answer)
        ids[row, : len(whole) - 1] = whole[:-1]
        wanted[row, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(MOST_STEPS):
        losses = functional.cross_entropy(
            logits_of(ids).flatten(0, 1), wanted.flatten(), reduction="none", ignore_index=-100
        )
        if losses.max() < SURE:
            break
        optimizer.zero_grad()
        (losses.sum() / (wanted != -100).sum()).backward()
        optimizer.step()
    assert losses.max() < 0.5, "the lessons were not learnt"


def _fresh_rows(shape: CodeGeeXConfig, ids: Tensor) -> Rows:
    """Rows of a cache for one pass: what is written there stays part of the graph."""
    size = len(ids), shape.num_attention_heads, ids.shape[1], shape.head_dim
    layers = range(shape.num_layers + 1)
    return Rows(tuple(torch.zeros(size) for _ in layers), tuple(torch.zeros(size) for _ in layers))
