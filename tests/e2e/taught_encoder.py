"""A small T5 encoder taught which questions belong to which code, as transformers saves it."""

from __future__ import annotations

from pathlib import Path

import tiny_t5
import torch
import transformers
from torch.nn import functional

MOST_STEPS = 300
SURE = 0.02
# Of the softmax over all code of the lesson.
TEMPERATURE = 0.1


def write_folder(folder: Path, lessons: list[tuple[str, str]]) -> Path:
    """An encoder whose vector of each question is nearest to that of its code; returns it."""
    torch.set_num_threads(1)
    torch.manual_seed(7)
    questions, codes = zip(*lessons, strict=True)
    description = tiny_t5.tokenizer_json([*questions, *codes])
    words = len(description["model"]["vocab"])
    encoder = transformers.T5EncoderModel(tiny_t5.config(words, d_model=64, d_kv=16, d_ff=128))
    tiny_t5.write_folder(folder, encoder, description)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    optimizer = torch.optim.Adam(encoder.train().parameters(), lr=3e-3)
    for _ in range(MOST_STEPS):
        asked, meant = (
            _vectors(encoder, tokenizer(list(texts), padding=True, return_tensors="pt"))
            for texts in (questions, codes)
        )
        likeness = asked @ meant.T / TEMPERATURE
        loss = functional.cross_entropy(likeness, torch.arange(len(lessons)))
        if loss < SURE:
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    else:
        raise AssertionError("the lessons were not learnt")
    encoder.eval().save_pretrained(folder)
    return folder


def _vectors(
    encoder: transformers.T5EncoderModel, tokens: transformers.BatchEncoding
) -> torch.Tensor:
    """The mean of the states, as the runtime takes it."""
    seen = tokens.attention_mask.unsqueeze(-1)
    states = encoder(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return functional.normalize((states.last_hidden_state * seen).sum(1) / seen.sum(1), dim=-1)
