"""GGUF files of tiny networks, as llama.cpp's converter writes them: with its own package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Kind
from tokenizers import pre_tokenizers

CONTEXT = 128
SIZES = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
# GGUF's name to transformers' class of configuration, and what is particular.
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, {"rope_theta": 50_000.0}),
    "qwen2": (transformers.Qwen2Config, {}),
    "qwen3": (transformers.Qwen3Config, {"head_dim": 32}),
    "gemma2": (transformers.Gemma2Config, {"head_dim": 16, "sliding_window": CONTEXT}),
    "gemma3": (transformers.Gemma3TextConfig, {"head_dim": 16, "sliding_window": CONTEXT}),
    "starcoder2": (transformers.Starcoder2Config, {"sliding_window": None}),
    "phi3": (transformers.Phi3Config, {}),
}
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)
CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def network(architecture: str, seed: int = 1, **changed: Any) -> Any:
    made, particular = KINDS[architecture]
    torch.manual_seed(seed)
    config = made(**{**SIZES, **particular, **changed})
    lm = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for parameter in lm.parameters():
        torch.nn.init.normal_(parameter, std=0.1 if parameter.dim() > 1 else 0.3)
    return lm


def byte_tokens(size: int = 320) -> list[str]:
    known = [*CONTROLS, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "Ġa"]
    return known + [f"<unused{n}>" for n in range(size - len(known))]


def write(
    path: Path,
    architecture: str,
    lm: Any,
    kind: Kind = Kind.F16,
    *,
    tokenizer: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray[Any, Any]] | None = None,
    left_out: Sequence[str] = (),
) -> Path:
    """`tokenizer` and `more` are metadata; `kind` is of the matrices. Returns the path."""
    config = lm.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    if getattr(config, "head_dim", None):
        writer.add_key_length(config.head_dim)
    if getattr(config, "rms_norm_eps", None):
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if getattr(config, "norm_epsilon", None):
        writer.add_layer_norm_eps(config.norm_epsilon)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    rope = config.rope_parameters or {}
    if "rope_theta" in rope:
        writer.add_rope_freq_base(rope["rope_theta"])
    for key, value in _tokenizer(config.vocab_size, tokenizer).items():
        _add(writer, f"tokenizer.{key}", value)
    for key, value in (more or {}).items():
        _add(writer, key, value)
    kinds = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], config.num_hidden_layers)
    tied = getattr(lm, "all_tied_weights_keys", {})
    for name, tensor in lm.state_dict().items():
        place = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if name in tied or place in left_out:
            continue
        numbers = _as_written(architecture, config, place, tensor.numpy())
        if numbers.ndim > 1:
            writer.add_tensor(place, gguf.quantize(numbers, kind), raw_dtype=kind)
        else:
            writer.add_tensor(place, numbers)
    for name, numbers in (tensors or {}).items():
        writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokenizer(size: int, changed: Mapping[str, Any] | None) -> dict[str, Any]:
    tokens = byte_tokens(size)
    usual = {
        "ggml.model": "gpt2",
        "ggml.pre": "smollm",
        "ggml.tokens": tokens,
        "ggml.token_type": [3] * len(CONTROLS) + [1] * (size - len(CONTROLS)),
        "ggml.merges": ["a b", "Ġ a"],
        "ggml.bos_token_id": 1,
        "ggml.eos_token_id": 2,
        "ggml.padding_token_id": 2,
        "ggml.add_bos_token": False,
        "chat_template": TEMPLATE,
    }
    told = {**usual, **(changed or {})}
    return {key: value for key, value in told.items() if value is not None}


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _as_written(architecture: str, config: Any, place: str, numbers: Any) -> Any:
    """llama.cpp turns Llama's rotary halves into pairs and adds one to Gemma's norms."""
    if architecture == "llama" and (".attn_q." in place or ".attn_k." in place):
        heads = config.num_attention_heads if "_q." in place else config.num_key_value_heads
        halves = numbers.reshape(heads, 2, -1, *numbers.shape[1:])
        return halves.swapaxes(1, 2).reshape(numbers.shape)
    if architecture.startswith("gemma") and place.endswith("norm.weight"):
        return numbers + 1
    return numbers
