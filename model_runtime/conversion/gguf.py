"""A GGUF file becomes a model folder as the hub has them: `models use FILE.gguf`, `convert`.

Made once: the tensors are dequantized one at a time into float16, and config.json says what the
file had, so that they are kept in as many bits when the model is loaded. The network is that of
transformers; what its tensors are called in GGUF is known to llama.cpp's own package.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from model_runtime.conversion import gguf_tokenizer
from model_runtime.conversion.gguf_file import GgufFile
from model_runtime.conversion.progress import Progress
from model_runtime.conversion.target import (
    HashedFile,
    new_folder,
    safetensors_header,
    write_file,
)
from model_runtime.errors import ConversionError
from model_runtime.folders.hub_folder import CONFIG, KEPT_AS
from model_runtime.hub.soundness import WEIGHTS
from model_runtime.networks import transformers_lm

# A file of so many bits a weight, or fewer, is kept in INT8; 4-bit files, which people choose for
# their size, lose nothing by it.
MOST_BITS_OF_INT8 = 9.0

Numbers = NDArray[np.float32]


def convert(source: Path, target: Path, messages: TextIO) -> None:
    """Raises ConversionError or WeightsError, each one sentence, and leaves no target then."""
    file = GgufFile(source)
    config = _config(file)
    network = transformers_lm.blank(AutoConfig.for_model(**config), AutoModelForCausalLM)
    tied = getattr(network, "all_tied_weights_keys", {})
    wanted = {
        name: torch.empty(blank.shape, dtype=torch.float16, device="meta")
        for name, blank in network.state_dict().items()
        if name not in tied
    }
    places = _places(file, wanted)
    others = dict(gguf_tokenizer.files(file))
    size = sum(blank.nbytes for blank in wanted.values())
    with new_folder(target, size) as folder, Progress(messages, size, 1) as progress:
        with HashedFile(folder / WEIGHTS, safetensors_header(wanted)) as weights:
            for name, blank in wanted.items():
                weights.write(_tensor(file, config, places[name]))
                progress.wrote(blank.nbytes)
        progress.finished(WEIGHTS)
        for name, content in others.items():
            write_file(folder / name, content)
        write_file(folder / CONFIG, json.dumps(config, indent=2).encode())


def _places(file: GgufFile, wanted: dict[str, Tensor]) -> dict[str, str]:
    """The file's name of each tensor. Raises ConversionError when one is missing or misshapen."""
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[file.architecture], file.of_network("block_count"))
    found = {}
    for name, blank in wanted.items():
        place = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if place is None or place not in file.tensors:
            raise ConversionError(f"{file.path} lacks {name}; it isn't the whole network.")
        shape = [int(size) for size in reversed(file.tensors[place].shape)]
        if shape != list(blank.shape):
            raise ConversionError(
                f"{place} in {file.path} is {shape} and should be {list(blank.shape)}."
            )
        found[name] = place
    return found


def _tensor(file: GgufFile, config: dict[str, Any], place: str) -> Tensor:
    numbers = _ARCHITECTURES[file.architecture].own(file.read(place), place, config)
    with np.errstate(over="ignore"):
        halves = numbers.astype(np.float16)
    if not np.isfinite(halves).all():
        raise ConversionError(f"{place} in {file.path} has numbers that float16 can't hold.")
    return torch.from_numpy(halves)


# --- what is particular to an architecture --------------------------------------------------------


class _Architecture:
    """`model_type` is transformers' name; `own` undoes what llama.cpp did to a tensor's numbers."""

    def __init__(
        self,
        model_type: str,
        own: Callable[[Numbers, str, dict[str, Any]], Numbers] = lambda numbers, place, _: numbers,
        **keys: str,
    ) -> None:
        self.model_type = model_type
        self.own = own
        self.keys = keys


def _unpermuted(numbers: Numbers, place: str, config: dict[str, Any]) -> Numbers:
    """Llama's rotary pairs lie beside each other there and half a head apart here."""
    heads = {
        ".attn_q.": config["num_attention_heads"],
        ".attn_k.": config["num_key_value_heads"],
    }
    for name, count in heads.items():
        if name in place:
            pairs = numbers.reshape(count, -1, 2, *numbers.shape[1:])
            return pairs.swapaxes(1, 2).reshape(numbers.shape)
    return numbers


def _without_one(numbers: Numbers, place: str, config: dict[str, Any]) -> Numbers:
    """Gemma's norms multiply by one more than their weight, which is added there."""
    return numbers - 1 if place.endswith("norm.weight") else numbers


_SOFT_CAPS = {
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
_ARCHITECTURES = {
    "llama": _Architecture("llama", _unpermuted),
    "qwen2": _Architecture("qwen2"),
    "qwen3": _Architecture("qwen3"),
    "gemma2": _Architecture("gemma2", _without_one, **_SOFT_CAPS),
    "gemma3": _Architecture("gemma3_text", _without_one),
    "starcoder2": _Architecture("starcoder2", norm_epsilon="attention.layer_norm_epsilon"),
    "phi3": _Architecture("phi3"),
}
_KEYS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
    "sliding_window": "attention.sliding_window",
}


def _config(file: GgufFile) -> dict[str, Any]:
    """config.json for transformers. Raises ConversionError for another architecture."""
    known = _ARCHITECTURES.get(file.architecture)
    if known is None:
        raise ConversionError(
            f'{file.path} holds a "{file.architecture}" network; {", ".join(_ARCHITECTURES)} can '
            "be used."
        )
    told = {name: file.of_network(key) for name, key in (_KEYS | known.keys).items()}
    config = {name: value for name, value in told.items() if value is not None}
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
        if not isinstance(config.get(name), int):
            raise ConversionError(f"{file.path} doesn't say {file.architecture}.{_KEYS[name]}.")
    heads = config["num_attention_heads"]
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise ConversionError(f"{file.path} lacks token_embd.weight; it isn't the whole network.")
    return {
        "model_type": known.model_type,
        "num_key_value_heads": heads,
        "head_dim": config["hidden_size"] // heads,
        **config,
        **dict(_rope(file)),
        **gguf_tokenizer.special_ids(file),
        "vocab_size": int(embedding.shape[1]),
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "dtype": "float16",
        KEPT_AS: "int8" if file.bits <= MOST_BITS_OF_INT8 else "",
    }


def _rope(file: GgufFile) -> Iterator[tuple[str, Any]]:
    """How rotary angles are stretched for a long context."""
    scaling: dict[str, Any] = {}
    kind = file.of_network("rope.scaling.type", "none")
    original = file.of_network("rope.scaling.original_context_length")
    if "rope_freqs.weight" in file.tensors:  # Llama 3: what each frequency is divided by
        scaling = {
            "rope_type": "llama3",
            "factor": float(file.read("rope_freqs.weight").max()),
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
    elif "rope_factors_long.weight" in file.tensors:
        scaling = {
            "rope_type": "longrope",
            "long_factor": file.read("rope_factors_long.weight").tolist(),
            "short_factor": file.read("rope_factors_short.weight").tolist(),
        }
        yield "original_max_position_embeddings", original
    elif kind != "none":
        scaling = {"rope_type": kind, "factor": file.of_network("rope.scaling.factor", 1.0)}
        if kind == "yarn":
            scaling["original_max_position_embeddings"] = original
    if scaling:
        yield "rope_scaling", scaling
