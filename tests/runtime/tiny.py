"""A CodeGeeX small enough for every test: hidden 32, 2 layers, a token a byte, random weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import decoders, models, pre_tokenizers

from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks import kv_size
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.prompts.rendering import PromptFormat
from model_runtime.text.tokenizer import Tokenizer

CONTROLS = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
CONTEXT = 256
VOCABULARY = {
    name: id_ for id_, name in enumerate([*CONTROLS, *sorted(pre_tokenizers.ByteLevel.alphabet())])
}


def tokenizer_json() -> dict[str, object]:
    """Byte-level, no merges: 256 bytes and four control tokens."""
    bpe = tokenizers.Tokenizer(models.BPE(vocab=VOCABULARY, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens(list(CONTROLS))
    description: dict[str, object] = json.loads(bpe.to_str())
    return description


def config(context: int = CONTEXT, hidden: int = 32) -> CodeGeeXConfig:
    return CodeGeeXConfig(hidden, 2, 2, 256 + len(CONTROLS), context)


def network(shape: CodeGeeXConfig, seed: int = 1) -> CodeGeeX:
    """Random weights, large enough that every step writes another byte.

    Rows of zeros keep what isn't a visible ASCII character from ever being the likeliest token.
    """
    torch.manual_seed(seed)
    made = CodeGeeX(shape)
    for name, parameter in made.named_parameters():
        if "layernorm" not in name:
            torch.nn.init.normal_(parameter, std=0.5)
    visible = [VOCABULARY[chr(code)] for code in range(0x21, 0x7F)]
    hidden = torch.ones(shape.vocab_size, dtype=torch.bool)
    hidden[visible] = False
    made.requires_grad_(False).embedding.word_embeddings.weight[hidden] = 0
    return made.eval()


def model(folder: Path, *, seed: int = 1, context: int = CONTEXT) -> LoadedModel:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json()), encoding="utf-8")
    shape = config(context)
    return LoadedModel(
        name="tiny",
        network=network(shape, seed),
        tokenizer=Tokenizer.from_json(path),
        format=PromptFormat.NANO_FIM,
        kv=next(kv_size.sizes(shape, "float32", on_cpu=True)),
        config=shape,
    )


def write_folder(
    folder: Path,
    shape: CodeGeeXConfig,
    *,
    weights: CodeGeeX | None = None,
    tokenizer: dict[str, object] | None = None,
    format: PromptFormat = PromptFormat.NANO_FIM,
) -> Path:
    """The same as a model folder, or another network of `shape` as one; returns it."""
    folder.mkdir(exist_ok=True)
    description = json.dumps(tokenizer or tokenizer_json())
    (folder / "tokenizer.json").write_text(description, encoding="utf-8")
    save_file((weights or network(shape)).state_dict(), folder / "model.safetensors")
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in ("tokenizer.json", "model.safetensors")
    }
    about = {
        "name": "tiny",
        "prompt_format": format.value,
        "network": {
            "hidden_size": shape.hidden_size,
            "num_layers": shape.num_layers,
            "num_attention_heads": shape.num_attention_heads,
            "vocab_size": shape.vocab_size,
            "max_position_embeddings": shape.max_position_embeddings,
            "layernorm_epsilon": shape.layernorm_epsilon,
        },
        "files": files,
    }
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder
