"""A model folder of our own: from its path to a network ready to run, or a sentence saying why not.

It holds config.json (shape, prompt format, size and sha256 of the other files), a
tokenizer, and one or more safetensors files, their matrices float, INT8 or INT4 with scales.
Everything is checked before it is used. It downloads nothing and reads no pickle. opening.py calls
it for every folder that isn't the hub's; conversion/ writes such folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from model_runtime.decoding.mixing import Trust
from model_runtime.device import memory
from model_runtime.errors import WeightsError
from model_runtime.folders import verification
from model_runtime.folders.assembly import Shards, assemble, assemble_int8
from model_runtime.folders.loaded import LoadedModel, MemoryPlan, kept_as
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.kept import Precision
from model_runtime.networks.network import Network
from model_runtime.options import DEFAULT_MODEL, EMBEDDED_FOLDER
from model_runtime.prompts.rendering import PromptFormat
from model_runtime.reading import model_json
from model_runtime.text.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_SUFFIX = ".safetensors"
# What config.json may call its tokenizer, and the files that make it up.
CODEGEEX_13B = "codegeex-13b"
TOKENIZERS = {
    TOKENIZER_FILE: (TOKENIZER_FILE,),
    CODEGEEX_13B: ("vocab.json", "merges.txt", "added_tokens.json"),
}


@dataclass(frozen=True, slots=True)
class Description:
    """What config.json says. `files` maps a name to its size in bytes and sha256.

    `tokenizer` is one of TOKENIZERS; `weights` names the files with tensors.
    """

    name: str
    format: PromptFormat
    config: CodeGeeXConfig
    tokenizer: str
    files: Mapping[str, tuple[int, str]]
    trust: Trust | None = None

    @property
    def weights(self) -> list[str]:
        return sorted(name for name in self.files if name.endswith(WEIGHTS_SUFFIX))


def load(folder: Path, device: torch.device, dtype: torch.dtype, quantize: str) -> LoadedModel:
    """A model stored in float is kept as `quantize` says: "int8", "int4", "nf4" or "llm.int8".

    Raises WeightsError when a file is missing, truncated, altered, or doesn't fit the others, and
    FitError when the model doesn't fit into memory.
    """
    description = read_description(folder)
    chosen = plan(folder, device, dtype, quantize)
    need = chosen.need(memory.free_bytes(device))
    verify(folder, description)
    tokenizer = _load_tokenizer(folder, description)
    shards = Shards(folder, description.weights)
    wanted = None if chosen.kept is chosen.stored else chosen.kept
    network: Network | None = None
    if chosen.stored is Precision.INT8 and device.type == "cpu" and dtype == torch.float32:
        network = assemble_int8(shards, description.config)
    return LoadedModel(
        name=description.name,
        network=network or assemble(shards, description.config, device, dtype, wanted),
        tokenizer=tokenizer,
        format=description.format,
        config=description.config,
        kv=need.kv,
        trust=description.trust,
    )


def examine(folder: Path) -> None:
    """All but the weights and their checksums. Raises WeightsError."""
    description = read_description(folder)
    verification.sizes(folder, description.files)
    _load_tokenizer(folder, description)


def verify(folder: Path, description: Description) -> None:
    """Compare every file with its size and checksum. Raises WeightsError at the first damage."""
    verification.verify(folder, description.files)


def plan(folder: Path, device: torch.device, dtype: torch.dtype, quantize: str) -> MemoryPlan:
    """From the files' headers, before anything is read. Raises WeightsError."""
    description = read_description(folder)
    stored = _stored_precision(folder, description)
    kept = kept_as(description.name, stored, quantize, device)
    return MemoryPlan(description.name, stored, kept, description.config, dtype, device)


def folder_of(name: str) -> Path:
    """Of the embedded model or by its path. Raises WeightsError where there is none."""
    folder = EMBEDDED_FOLDER if name == DEFAULT_MODEL else Path(name).expanduser()
    if not folder.is_dir():
        raise WeightsError(
            f'There is no model folder {folder}; name one that exists or use "{DEFAULT_MODEL}".'
        )
    return folder


def _stored_precision(folder: Path, description: Description) -> Precision:
    """From the files' headers alone. Raises WeightsError for a damaged file."""
    kinds = {"I8": Precision.INT8, "U8": Precision.INT4}
    dtypes: set[str] = set()
    try:
        for name in description.weights:
            with safe_open(folder / name, framework="pt") as file:
                names = [key for key in file.keys() if ".layers." in key or ".topQuery" in key]  # noqa: SIM118
                dtypes |= {str(file.get_slice(key).get_dtype()) for key in names}
    except (OSError, SafetensorError):
        verify(folder, description)
        return Precision.FLOAT16
    found = [kinds[dtype] for dtype in dtypes if dtype in kinds]
    return found[0] if found else Precision.FLOAT16


def read_description(folder: Path) -> Description:
    """Read and check config.json. Raises WeightsError."""
    path = folder / CONFIG_FILE
    fields = model_json(path)
    try:
        return Description(
            name=str(fields["name"]),
            format=PromptFormat(fields["prompt_format"]),
            config=_network_config(fields["network"]),
            tokenizer=(tokenizer := str(fields.get("tokenizer", TOKENIZER_FILE))),
            files=_files(fields["files"], tokenizer),
            trust=_trust(fields["trust"]) if "trust" in fields else None,
        )
    except KeyError as error:
        raise WeightsError(f"{path} lacks the entry {error}.") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise WeightsError(f"{path} can't be understood: {error}.") from error


def _trust(fields: Mapping[str, Any]) -> Trust:
    return Trust(**{name: float(fields[name]) for name in Trust.__slots__})


def _files(fields: Mapping[str, Any], tokenizer: str) -> dict[str, tuple[int, str]]:
    """The tokenizer's files and all with tensors; raises KeyError when one isn't listed."""
    if tokenizer not in TOKENIZERS:
        raise ValueError(f"{tokenizer!r} is no tokenizer")
    tensors = [name for name in map(str, fields) if name.endswith(WEIGHTS_SUFFIX)] or [WEIGHTS_FILE]
    if any(Path(name).name != name for name in tensors):
        raise ValueError("a file lies outside the folder")
    return {
        file: (int(fields[file]["bytes"]), str(fields[file]["sha256"]))
        for file in (*TOKENIZERS[tokenizer], *tensors)
    }


def _network_config(fields: Mapping[str, Any]) -> CodeGeeXConfig:
    config = CodeGeeXConfig(
        hidden_size=int(fields["hidden_size"]),
        num_layers=int(fields["num_layers"]),
        num_attention_heads=int(fields["num_attention_heads"]),
        vocab_size=int(fields["vocab_size"]),
        max_position_embeddings=int(fields["max_position_embeddings"]),
        layernorm_epsilon=float(fields["layernorm_epsilon"]),
    )
    if min(config.hidden_size, config.num_attention_heads, config.max_position_embeddings) < 1:
        raise ValueError("a size is below 1")
    if config.hidden_size % config.num_attention_heads:
        raise ValueError("hidden_size must be a multiple of num_attention_heads")
    return config


def _load_tokenizer(folder: Path, description: Description) -> Tokenizer:
    path = folder / TOKENIZERS[description.tokenizer][0]
    try:
        if description.tokenizer == CODEGEEX_13B:
            tokenizer = Tokenizer.codegeex_13b(folder)
        else:
            tokenizer = Tokenizer.from_json(path)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} can't be used: {error}.") from error
    rows = description.config.vocab_size
    if tokenizer.vocab_size > rows:
        raise WeightsError(
            f"{path} has {tokenizer.vocab_size} tokens and the network only {rows}: "
            "they belong to different models."
        )
    for name in description.format.controls:
        if name not in tokenizer.controls:
            raise WeightsError(
                f'{path} lacks {name}, which the prompt format "{description.format}" needs.'
            )
    return tokenizer
