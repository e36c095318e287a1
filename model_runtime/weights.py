"""From a model's name to a network ready to run, or one sentence saying why not.

A model is a folder: config.json (shape, prompt format, size and sha256 of the other two),
tokenizer.json and model.safetensors, its matrices float or INT8 with a scale a row. Everything is
checked before it is used. It downloads nothing and reads no pickle. The engine calls load().
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model_runtime.errors import WeightsError
from model_runtime.models.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.prompts import PromptFormat
from model_runtime.quantization import dequantize_int8
from model_runtime.tokenizer import Tokenizer

EMBEDDED_NAME = "codegeex-nano"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
# An INT8 matrix "x.weight" travels with its row scales as "x.weight.scale".
SCALE_SUFFIX = ".scale"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything the engine needs of a model.

    `copies_first` says that the model is weak enough for a copy from the same file to go before it.
    """

    name: str
    network: CodeGeeX
    tokenizer: Tokenizer
    format: PromptFormat
    config: CodeGeeXConfig
    copies_first: bool


@dataclass(frozen=True, slots=True)
class Description:
    """What config.json says. `files` maps a name to its size in bytes and sha256."""

    name: str
    format: PromptFormat
    copies_first: bool
    config: CodeGeeXConfig
    files: Mapping[str, tuple[int, str]]


def load(name: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """Load "codegeex-nano", which is part of the package, or a model folder by its path.

    Raises WeightsError when a file is missing, truncated, altered, or doesn't fit the others.
    """
    folder = EMBEDDED_FOLDER if name == EMBEDDED_NAME else Path(name).expanduser()
    if not folder.is_dir():
        raise WeightsError(
            f'There is no model folder {folder}; name one that exists or use "{EMBEDDED_NAME}".'
        )
    description = read_description(folder)
    for file in (TOKENIZER_FILE, WEIGHTS_FILE):
        _verify(folder / file, *description.files[file])
    tokenizer = _load_tokenizer(folder / TOKENIZER_FILE, description)
    network = _load_network(folder / WEIGHTS_FILE, description.config)
    return LoadedModel(
        name=description.name,
        network=network.to(device=device, dtype=dtype),
        tokenizer=tokenizer,
        format=description.format,
        config=description.config,
        copies_first=description.copies_first,
    )


def read_description(folder: Path) -> Description:
    """Read and check config.json. Raises WeightsError."""
    path = folder / CONFIG_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Description(
            name=str(fields["name"]),
            format=PromptFormat(fields["prompt_format"]),
            copies_first=bool(fields["copies_first"]),
            config=_network_config(fields["network"]),
            files={
                file: (int(fields["files"][file]["bytes"]), str(fields["files"][file]["sha256"]))
                for file in (TOKENIZER_FILE, WEIGHTS_FILE)
            },
        )
    except FileNotFoundError as error:
        raise WeightsError(f"{folder} is no model folder: it has no {CONFIG_FILE}.") from error
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
    except KeyError as error:
        raise WeightsError(f"{path} lacks the entry {error}.") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise WeightsError(f"{path} can't be understood: {error}.") from error


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


def _verify(path: Path, size: int, sha256: str) -> None:
    try:
        found = path.stat().st_size
        if found != size:
            raise WeightsError(
                f"{path} is damaged: it has {found} of {size} bytes; fetch or export it again."
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise WeightsError(f"{path.parent} lacks {path.name}; the model is incomplete.") from error
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
    if digest != sha256:
        raise WeightsError(
            f"{path} is damaged: its checksum isn't the one in {CONFIG_FILE}; "
            "fetch or export it again."
        )


def _load_tokenizer(path: Path, description: Description) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_json(path)
    except (OSError, ValueError) as error:
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


def _load_network(path: Path, config: CodeGeeXConfig) -> CodeGeeX:
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file: {error}.") from error
    with torch.device("meta"):
        network = CodeGeeX(config)
    parameters = _dequantized(path, tensors)
    _check_shapes(path, network.state_dict(), parameters)
    network.load_state_dict(parameters, assign=True)
    return network.requires_grad_(False).eval()


def _dequantized(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float parameters: INT8 matrices times their row scales, the others as they are."""
    parameters = {name: tensors[name] for name in tensors if not name.endswith(SCALE_SUFFIX)}
    for name, tensor in parameters.items():
        scale = tensors.get(name + SCALE_SUFFIX)
        if scale is None:
            continue
        if tensor.dtype != torch.int8 or tensor.dim() != 2 or scale.shape != tensor.shape[:1]:
            raise WeightsError(f"{name} in {path} and its row scales don't match.")
        parameters[name] = dequantize_int8(tensor, scale)
    return parameters


def _check_shapes(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    if missing := sorted(wanted.keys() - found.keys()):
        raise WeightsError(f"{path} lacks {len(missing)} tensors, {missing[0]} among them.")
    if unknown := sorted(found.keys() - wanted.keys()):
        raise WeightsError(
            f"{path} has {len(unknown)} tensors this network doesn't have, {unknown[0]} among them."
        )
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape or not found[name].is_floating_point():
            raise WeightsError(
                f"{name} in {path} is {found[name].dtype} {list(found[name].shape)}; "
                f"floats {list(tensor.shape)} are needed."
            )
