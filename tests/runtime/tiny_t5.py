"""Checkpoints of the T5 kind, small enough for every test: transformers makes and saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

CONTROLS = ("<pad>", "<s>", "</s>", "<extra_id_0>", "<extra_id_1>")
PAD, BEGIN, END = range(3)
SOURCE = 128


def tokenizer_json(texts: list[str] | None = None, size: int = 600) -> dict[str, Any]:
    """CodeT5's kind: byte-level BPE, <s> and </s> around every text. Without `texts` a token a
    byte, else the words of the texts too."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: id_ for id_, name in enumerate([*CONTROLS, *alphabet])}
    bpe = tokenizers.Tokenizer(
        models.BPE(vocab=vocabulary, merges=[]) if texts is None else models.BPE()
    )
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    if texts is None:
        bpe.add_special_tokens(list(CONTROLS))
    else:
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=alphabet,
            special_tokens=list(CONTROLS),
            show_progress=False,
        )
        bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.RobertaProcessing(
        ("</s>", END), ("<s>", BEGIN), trim_offsets=False, add_prefix_space=False
    )
    description: dict[str, Any] = json.loads(bpe.to_str())
    return description


def config(words: int, **fields: Any) -> transformers.T5Config:
    sizes = {
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "n_positions": SOURCE,
        "relative_attention_num_buckets": 16,
        "relative_attention_max_distance": 24,
        "decoder_start_token_id": PAD,
        "pad_token_id": PAD,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "dropout_rate": 0.0,
    }
    return transformers.T5Config(vocab_size=words, **{**sizes, **fields})


def network(vocabulary: dict[str, int], seed: int = 2, **fields: Any) -> Any:
    """Random weights whose position biases are large, so that every step writes another byte.

    Rows of zeros keep what isn't a visible ASCII character from ever being the likeliest token.
    """
    torch.manual_seed(seed)
    t5 = transformers.T5ForConditionalGeneration(config(len(vocabulary), **fields))
    t5.eval().requires_grad_(False)
    for name, parameter in t5.named_parameters():
        if parameter.dim() > 1:
            std = 0.02 if "shared" in name else 6.0 if "relative" in name else 0.3
            torch.nn.init.normal_(parameter, std=std)
    hidden = [id_ for token, id_ in vocabulary.items() if len(token) > 1 or not "!" <= token <= "~"]
    t5.shared.weight[hidden] = 0
    return t5


def write_folder(folder: Path, t5: Any = None, tokenizer: dict[str, Any] | None = None) -> Path:
    """A checkpoint as the hub has them; returns the folder."""
    description = tokenizer or tokenizer_json()
    t5 = t5 or network(description["model"]["vocab"])
    t5.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "model_max_length": SOURCE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder
