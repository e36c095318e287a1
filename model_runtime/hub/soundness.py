"""Is a folder a whole model, as far as can be told without torch?

Its config, its tokenizer, and every file of weights that its index names: there, fetched, and as
long as its own header says. Reads no weights and knows no network; cache.py and folders/ call it.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model_runtime import reading
from model_runtime.errors import UnknownModelError, WeightsError
from model_runtime.options import DEFAULT_MODEL

CONFIG = "config.json"
NO_CONFIG = f"it has no {CONFIG}"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
# What a tokenizer is made of where there is no tokenizer.json.
TOKENIZER_PARTS = ("tokenizer.model", "vocab.json", "vocab.txt")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
GGUF = ".gguf"
MAKE_FOLDER = "run: codegeex-lsp models use"
# CodeT5+'s model that embeds: a T5's encoder and a projection.
PROJECTED = "codet5p_embedding"
# The header of a safetensors file is no larger.
MOST_HEADER = 100_000_000


def located(path: Path) -> Path:
    """The folder. Raises UnknownModelError when there is none, WeightsError for something else."""
    try:
        status = path.stat()
    except OSError as error:
        if isinstance(error, PermissionError):
            raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
        raise UnknownModelError(
            f'There is no model folder {path}; name one that exists or use "{DEFAULT_MODEL}".'
        ) from error
    except ValueError as error:  # a NUL in its name
        raise UnknownModelError("There is no model folder of that name.") from error
    if stat.S_ISDIR(status.st_mode):
        return path
    if path.suffix.lower() == GGUF:
        raise WeightsError(f"{path} is a GGUF file; {MAKE_FOLDER} {path}")
    raise WeightsError(f"{path} is a file; name the folder that holds the model.")


def lacking(folder: Path) -> str:
    """What keeps the folder from being a whole model, the end of a sentence; "" when it is one."""
    try:
        if not os.access(folder, os.R_OK | os.X_OK):
            return "it can't be read: Permission denied"
        config = reading.model_json(folder / CONFIG, {})
        weights = _weights(folder, config)
    except WeightsError as error:
        return str(error).removesuffix(".")
    if not config:
        gguf = next((it for it in sorted(folder.iterdir()) if it.suffix.lower() == GGUF), None)
        return f"{gguf} is a GGUF file; {MAKE_FOLDER} {gguf}" if gguf else NO_CONFIG
    missing = next((name for name in weights if not (folder / name).exists()), "")
    if "network" in config:  # ours, the embedded model's and a converted checkpoint's
        return f"it lacks {missing}" if missing else ""
    if missing and any(path for kind in PICKLES for path in folder.glob(kind)):
        return (
            "it has its weights as pickle files, which can run code; make a folder of safetensors: "
            f"codegeex-runtime convert {folder} TARGET"
        )
    return f"it lacks {missing}" if missing else _lacking_tokenizer(folder, config)


def check(folder: Path) -> None:
    """Raises WeightsError for a folder that is no whole model, or has damaged files of weights."""
    if problem := lacking(folder):
        raise WeightsError(f"{folder} is no model that can be used: {problem}.")
    for name in _weights(folder, reading.model_json(folder / CONFIG)):
        if name.endswith(".safetensors"):
            _header(folder / name)


def parameters(folder: Path) -> int:
    """How many numbers the weights are. Raises WeightsError."""
    files = _weights(folder, reading.model_json(folder / CONFIG))
    headers = (_header(folder / name) for name in files if name.endswith(".safetensors"))
    tensors = (tensor for header in headers for tensor in header.values())
    # Two numbers of four bits lie in one byte.
    return sum(math.prod(one["shape"]) * (1 + (one["dtype"] == "U8")) for one in tensors)


def only_embeds(config: Mapping[str, Any]) -> bool:
    """Whether a folder with this config.json has an encoder and nothing to write with."""
    alone = config.get("architectures") == ["T5EncoderModel"]
    return config.get("model_type") == PROJECTED or alone


def _weights(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """The files that it must have. Raises WeightsError for a list that is none."""
    index = folder / INDEX
    if "network" in config:
        names: Iterable[Any] = config.get("files", ())
    elif index.exists():
        weight_map = reading.model_json(index).get("weight_map")
        names = weight_map.values() if isinstance(weight_map, dict) else [None]
    else:
        names = [WEIGHTS]
    files = sorted({name if isinstance(name, str) else "" for name in names})
    if not all(name and Path(name).name == name for name in files):
        raise WeightsError(f"{index if index.exists() else folder / CONFIG} names no files of it.")
    return files


def _lacking_tokenizer(folder: Path, config: Mapping[str, Any]) -> str:
    if (folder / TOKENIZER).exists():
        return ""
    if not any((folder / name).exists() for name in TOKENIZER_PARTS):
        return f"it has no {TOKENIZER}; get it from where the model comes from"
    if only_embeds(config):  # transformers makes one of the parts
        return ""
    return (
        f"it has no {TOKENIZER}; make one of its other files: python -c 'from transformers import "
        f'AutoTokenizer as A; A.from_pretrained("{folder}").save_pretrained("{folder}")\''
    )


def _header(path: Path) -> dict[str, Any]:
    """The tensors that a safetensors file says it has. Raises WeightsError unless it has them."""
    try:
        with path.open("rb") as file:
            begin = file.read(8)
            if begin == reading.POINTER[:8]:
                raise WeightsError(f"{path} {reading.FETCH_POINTERS}.")
            length = int.from_bytes(begin, "little")
            text = file.read(length) if length <= MOST_HEADER else b""
        size = path.stat().st_size
        header = json.loads(text)
        header.pop("__metadata__", None)
        wanted = 8 + length + max((one["data_offsets"][1] for one in header.values()), default=0)
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is no whole safetensors file; fetch it again.") from error
    if size < wanted:
        raise WeightsError(f"{path} is cut off, {size:,} of {wanted:,} bytes; fetch it again.")
    return dict(header)
