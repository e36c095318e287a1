"""A GGUF file, in one piece or several: its metadata, and its tensors as float numbers.

llama.cpp's own package reads and dequantizes; nothing of a tensor is in memory before it is asked
for. It knows no network. gguf.py makes a model folder of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, ReaderTensor, dequantize

from model_runtime.errors import ConversionError

_MAGIC = b"GGUF"
_PIECE = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class GgufFile:
    """Raises ConversionError for what is no GGUF file, not all of one, or of an unknown kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        readers = [_opened(piece) for piece in _pieces(path)]
        self._fields = readers[0].fields
        self.tensors: Mapping[str, ReaderTensor] = {
            tensor.name: tensor for reader in readers for tensor in reader.tensors
        }
        self.architecture = str(self.get("general.architecture", ""))

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the metadata."""
        field = self._fields.get(key)
        return default if field is None else field.contents()

    def of_network(self, key: str, default: Any = None) -> Any:
        """One of those whose names begin with the architecture's."""
        return self.get(f"{self.architecture}.{key}", default)

    def read(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A tensor's numbers in its shape, rows first. Raises ConversionError."""
        tensor = self.tensors[name]
        try:
            numbers = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError:
            raise ConversionError(
                f"{self.path} keeps {name} in {tensor.tensor_type.name}, which can't be read here; "
                "get the model in Q4_K_M, Q5_K_M, Q6_K, Q8_0 or F16."
            ) from None
        shape = tuple(int(size) for size in reversed(tensor.shape))
        return numbers.astype(np.float32, copy=False).reshape(shape)

    @property
    def bits(self) -> float:
        """Of a weight in the matrices, on average."""
        matrices = [tensor for tensor in self.tensors.values() if len(tensor.shape) > 1]
        return 8 * sum(it.n_bytes for it in matrices) / sum(it.n_elements for it in matrices)


def _pieces(path: Path) -> list[Path]:
    """All files of a model that is split, in order. Raises ConversionError for a missing one."""
    found = _PIECE.search(path.name)
    if found is None:
        return [path]
    count = int(found[2])
    stem = path.name[: found.start()]
    pieces = [path.with_name(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]
    for piece in pieces:
        if not piece.is_file():
            raise ConversionError(f"{piece.name} is missing beside {path.name}; get all {count}.")
    return pieces


def _opened(path: Path) -> GGUFReader:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            raise ConversionError(f"{path} is no GGUF file: it begins with other bytes.")
        reader = GGUFReader(path)
        size = path.stat().st_size
    except OSError as error:
        raise ConversionError(f"{path} can't be read: {error.strerror}.") from error
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, UnicodeError) as error:
        raise ConversionError(_unreadable(path, error)) from error
    if any(tensor.data_offset + tensor.n_bytes > size for tensor in reader.tensors):
        raise ConversionError(f"{path} ends in the middle of its tensors; get it again.")
    return reader


def _unreadable(path: Path, error: Exception) -> str:
    kind = re.search(rf"(\d+) is not a valid {GGMLQuantizationType.__name__}", str(error))
    if kind:
        return f"{path} has tensors of kind {kind[1]}, which nobody here knows; update gguf."
    return f"{path} is damaged or ends too soon; get it again."
