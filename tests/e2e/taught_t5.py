"""A small T5 that was taught a few answers by heart, as transformers saves it."""

from __future__ import annotations

from pathlib import Path

import tiny_t5
import torch
import transformers

from model_runtime.prompts.encoder_decoder import fitting
from model_runtime.prompts.pieces import Text
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate

MOST_STEPS = 400
SURE = 0.02
SIZES = {"d_model": 64, "d_kv": 16, "d_ff": 128, "n_positions": 256}


def write_folder(folder: Path, lessons: list[tuple[Generate, str]]) -> Path:
    """A model that gives, greedily, each lesson's answer to its request; returns the folder."""
    torch.set_num_threads(1)
    torch.manual_seed(7)
    asked = [_asked(request) for request, _ in lessons]
    description = tiny_t5.tokenizer_json([*asked, *(answer for _, answer in lessons)])
    t5 = transformers.T5ForConditionalGeneration(
        tiny_t5.config(len(description["model"]["vocab"]), **SIZES)
    )
    tiny_t5.write_folder(folder, t5, description)
    tokenizer = Tokenizer.from_json(folder / "tokenizer.json", (), tiny_t5.END)
    sources = [[tiny_t5.BEGIN, *tokenizer.encode(text), tiny_t5.END] for text in asked]
    answers = [[tiny_t5.BEGIN, *tokenizer.encode(text), tiny_t5.END] for _, text in lessons]
    _teach(t5.train(), sources, answers)
    t5.eval().save_pretrained(folder)
    return folder


def _asked(request: Generate) -> str:
    (piece,) = fitting(tiny_t5.CONTROLS).prompt(request).pieces
    assert isinstance(piece, Text)
    return piece.text


def _teach(
    t5: transformers.T5ForConditionalGeneration, sources: list[list[int]], answers: list[list[int]]
) -> None:
    """Adam on all lessons at once until the answers are nearly certain."""
    ids = _padded(sources, tiny_t5.PAD)
    labels = _padded(answers, -100)
    optimizer = torch.optim.Adam(t5.parameters(), lr=3e-3)
    for _ in range(MOST_STEPS):
        loss = t5(input_ids=ids, attention_mask=(ids != tiny_t5.PAD).long(), labels=labels).loss
        if loss < SURE:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise AssertionError("the lessons were not learnt")


def _padded(rows: list[list[int]], padding: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
