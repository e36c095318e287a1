"""Checkpoints of the families that transformers has, small enough for every test.

transformers itself makes and saves them: random weights, two layers, a token a byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers

CONTEXT = 256
END = "<|endoftext|>"
BEGIN = "<s>"
MODERN = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
OLD = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
# Family to its class of configuration, its sizes and the control tokens it fills in with.
KINDS: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "codegen": (transformers.CodeGenConfig, {**OLD, "n_ctx": CONTEXT, "rotary_dim": 4}, ()),
    "gpt2": (transformers.GPT2Config, OLD, ()),
    "gpt_bigcode": (
        transformers.GPTBigCodeConfig,
        OLD,
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ),
    "llama": (
        transformers.LlamaConfig,
        MODERN,
        ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    ),
    "qwen2": (
        transformers.Qwen2Config,
        MODERN,
        (
            *("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"),
            *("<|repo_name|>", "<|im_start|>", "<|im_end|>"),
        ),
    ),
    "starcoder2": (
        transformers.Starcoder2Config,
        {**MODERN, "sliding_window": 200},
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<repo_name>"),
    ),
}


def tokenizer_json(controls: tuple[str, ...]) -> dict[str, Any]:
    """Byte-level, no merges: 256 bytes and the control tokens."""
    names = (END, BEGIN, *controls)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: id_ for id_, name in enumerate([*names, *letters])}
    bpe = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens(list(names))
    description: dict[str, Any] = json.loads(bpe.to_str())
    return description


def network(kind: str, size: int, seed: int = 1, std: float = 0.8, **sizes: Any) -> Any:
    """Random weights, large enough that every step writes another byte.

    Rows of zeros keep what isn't a visible ASCII character from ever being the likeliest token.
    """
    made, fields, _ = KINDS[kind]
    config = made(**{**fields, **sizes}, vocab_size=size, bos_token_id=1, eos_token_id=0)
    torch.manual_seed(seed)
    lm = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for parameter in lm.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    lm.generation_config.pad_token_id = 0
    return lm


def write_folder(
    folder: Path,
    kind: str,
    *,
    begins: bool = False,
    chat_template: str = "",
    lm: Any = None,
    tokenizer: dict[str, Any] | None = None,
    **sizes: Any,
) -> Path:
    """A checkpoint of that family as the hub has them; returns the folder."""
    description = tokenizer or tokenizer_json(KINDS[kind][2])
    vocabulary = description["model"]["vocab"]
    if lm is None:
        lm = network(kind, len(vocabulary), **sizes)
        hidden = [id_ for token, id_ in vocabulary.items() if not "!" <= token <= "~"]
        head = lm.get_output_embeddings()
        head.weight[hidden + list(range(2 + len(KINDS[kind][2])))] = 0
        if head.bias is not None:
            head.bias[:] = 0
    lm.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    about: dict[str, Any] = {"bos_token": BEGIN, "eos_token": END, "add_bos_token": begins}
    if chat_template:
        about["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder
