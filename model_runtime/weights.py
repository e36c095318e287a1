"""From a model's name to a network ready to run, or one sentence saying why not.

A model is a folder: config.json (shape, prompt format, size and sha256 of the other files), a
tokenizer, and one or more safetensors files, their matrices float, INT8 or INT4 with scales.
Everything is checked before it is used. It downloads nothing and reads no pickle. The engine calls
load(); conversion/ writes such folders.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from model_runtime import fit
from model_runtime.errors import WeightsError
from model_runtime.mixing import Trust
from model_runtime.models import linear
from model_runtime.models.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.prompts import PromptFormat
from model_runtime.quantization import Int4Matrix, Int8Matrix, Precision, QuantizedMatrix
from model_runtime.tokenizer import Tokenizer

EMBEDDED_NAME = "codegeex-nano"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"

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
# A quantized matrix "x.weight", int8 or packed uint8, travels with its scales, "x.weight.scale".
SCALE_SUFFIX = ".scale"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything the engine needs of a model.

    `copies_first` says that the model is weak enough for a copy from the same file to go before it;
    `trust` how much its own choice of a token counts beside the memory's, None not to mix them.
    """

    name: str
    network: CodeGeeX
    tokenizer: Tokenizer
    format: PromptFormat
    config: CodeGeeXConfig
    copies_first: bool
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What config.json says. `files` maps a name to its size in bytes and sha256.

    `tokenizer` is one of TOKENIZERS; `weights` names the files with tensors.
    """

    name: str
    format: PromptFormat
    copies_first: bool
    config: CodeGeeXConfig
    tokenizer: str
    files: Mapping[str, tuple[int, str]]
    trust: Trust | None = None

    @property
    def weights(self) -> list[str]:
        return sorted(name for name in self.files if name.endswith(WEIGHTS_SUFFIX))


def load(name: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """Load "codegeex-nano", which is part of the package, or a model folder by its path.

    Raises WeightsError when a file is missing, truncated, altered, or doesn't fit the others, and
    FitError when the model doesn't fit into memory.
    """
    folder = _folder(name)
    description = read_description(folder)
    if (stored := _stored_precision(folder, description)) is not None:
        needs = fit.needs(description.config, dtype)
        fit.check(description.name, stored, needs, fit.free_bytes(device))
    verify(folder, description)
    tokenizer = _load_tokenizer(folder, description)
    network = _load_network(folder, description, device, dtype)
    return LoadedModel(
        name=description.name,
        network=network,
        tokenizer=tokenizer,
        format=description.format,
        config=description.config,
        copies_first=description.copies_first,
        trust=description.trust,
    )


def load_network(folder: Path, device: torch.device, dtype: torch.dtype) -> CodeGeeX:
    """The network alone; raises WeightsError as load() does."""
    description = read_description(folder)
    verify(folder, description)
    return _load_network(folder, description, device, dtype)


def verify(folder: Path, description: Description) -> None:
    """Compare every file with its size and checksum. Raises WeightsError at the first damage."""
    for file, (size, sha256) in description.files.items():
        _verify(folder / file, size, sha256)


def need(name: str, dtype: torch.dtype) -> fit.Need:
    """What a model that load() accepts takes in memory."""
    folder = _folder(name)
    description = read_description(folder)
    stored = _stored_precision(folder, description) or Precision.FLOAT16
    return fit.need(description.config, stored, dtype)


def _folder(name: str) -> Path:
    folder = EMBEDDED_FOLDER if name == EMBEDDED_NAME else Path(name).expanduser()
    if not folder.is_dir():
        raise WeightsError(
            f'There is no model folder {folder}; name one that exists or use "{EMBEDDED_NAME}".'
        )
    return folder


def _stored_precision(folder: Path, description: Description) -> Precision | None:
    """From the files' headers alone; None where one has none, which loading will explain."""
    kinds = {"I8": Precision.INT8, "U8": Precision.INT4}
    dtypes: set[str] = set()
    try:
        for name in description.weights:
            with safe_open(folder / name, framework="pt") as file:
                names = [key for key in file.keys() if ".layers." in key or ".topQuery" in key]  # noqa: SIM118
                dtypes |= {str(file.get_slice(key).get_dtype()) for key in names}
    except (OSError, SafetensorError):
        return None
    found = [kinds[dtype] for dtype in dtypes if dtype in kinds]
    return found[0] if found else Precision.FLOAT16


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
            tokenizer=(tokenizer := str(fields.get("tokenizer", TOKENIZER_FILE))),
            files=_files(fields["files"], tokenizer),
            trust=_trust(fields["trust"]) if "trust" in fields else None,
        )
    except FileNotFoundError as error:
        raise WeightsError(f"{folder} is no model folder: it has no {CONFIG_FILE}.") from error
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
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


def _load_network(
    folder: Path, description: Description, device: torch.device, dtype: torch.dtype
) -> CodeGeeX:
    tensors: dict[str, Tensor] = {}
    for file in description.weights:
        try:
            tensors |= load_file(folder / file)
        except SafetensorError as error:
            raise WeightsError(f"{folder / file} is no safetensors file: {error}.") from error
    network = blank_network(description.config)
    wanted = network.state_dict()
    matrices = _quantized(folder, tensors, wanted)
    served = linear.worth_serving(network, matrices)
    parameters = {name: tensors[name] for name in tensors if not name.endswith(SCALE_SUFFIX)}
    parameters |= {name: matrices[name].dequantized() for name in matrices.keys() - served.keys()}
    check_shapes(folder, wanted, {**parameters, **served})
    for name in served:
        del parameters[name]
    network.load_state_dict(parameters, assign=True, strict=False)
    linear.replace(network, served, device, dtype)
    return network.to(device=device, dtype=dtype).requires_grad_(False).eval()


def blank_network(config: CodeGeeXConfig) -> CodeGeeX:
    """The network without storage: shapes only."""
    with torch.device("meta"):
        return CodeGeeX(config)


def _quantized(
    path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, QuantizedMatrix]:
    """The INT8 and INT4 matrices with their scales, by the name of the matrix."""
    matrices: dict[str, QuantizedMatrix] = {}
    for name in sorted(tensors.keys() & wanted.keys()):
        scale = tensors.get(name + SCALE_SUFFIX)
        if scale is None:
            continue
        try:
            if scale.dim() == 1:
                matrices[name] = Int8Matrix(tensors[name], scale)
            else:
                matrices[name] = Int4Matrix(tensors[name], scale, wanted[name].shape[-1])
        except ValueError as error:
            raise WeightsError(f"{name} in {path} and its scales don't match: {error}.") from error
    return matrices


def check_shapes(
    path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor | QuantizedMatrix]
) -> None:
    """Raises WeightsError unless `found` has just the wanted names, with their shapes, as floats.

    Shapes are all it looks at: tensors on the meta device will do.
    """
    if missing := sorted(wanted.keys() - found.keys()):
        raise WeightsError(f"{path} lacks {len(missing)} tensors, {missing[0]} among them.")
    if unknown := sorted(found.keys() - wanted.keys()):
        raise WeightsError(
            f"{path} has {len(unknown)} tensors this network doesn't have, {unknown[0]} among them."
        )
    for name, tensor in wanted.items():
        other = found[name]
        floats = not isinstance(other, Tensor) or other.is_floating_point()
        if other.shape != tensor.shape or not floats:
            kind = other.dtype if isinstance(other, Tensor) else "quantized"
            raise WeightsError(
                f"{name} in {path} is {kind} {list(other.shape)}; "
                f"floats {list(tensor.shape)} are needed."
            )
