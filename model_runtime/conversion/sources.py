"""The checkpoints that `convert` takes, each as tensors by our names, mapped and not yet read.

A PyTorch file, a folder of tensor-parallel ranks, a folder of MindSpore's .npy files, or a model
folder made before. Pickles are read with weights_only: no code of theirs runs. It knows nothing of
what becomes of the tensors. conversion.convert makes a Source.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model_runtime.conversion import names
from model_runtime.errors import ConversionError
from model_runtime.folders import native

RANK_FILE = re.compile(r"mp_rank_(\d+)_model_states\.pt")
# Mapped pages that were read count as resident until the file is closed, so it is opened anew
# after so many: 13B peaks at one opening and its largest tensor.
OPEN_FOR_BYTES = 400 * 2**20


@dataclass(frozen=True, slots=True)
class Parts:
    """One tensor in the pieces that the ranks hold, to be joined on `axis`.

    Without an axis every rank holds the whole.
    """

    pieces: tuple[Tensor, ...]
    axis: int | None = None

    @property
    def blank(self) -> Tensor:
        """The whole on the meta device. Raises RuntimeError for pieces that don't fit together."""
        pieces = [piece.to("meta") for piece in self.pieces]
        return pieces[0] if self.axis is None else torch.cat(pieces, self.axis)

    def join(self) -> Tensor:
        """The whole; raises ConversionError when the ranks differ where they should not."""
        first, *others = self.pieces
        if self.axis is not None and others:
            return torch.cat(self.pieces, self.axis)
        if not all(torch.equal(first, other) for other in others):
            raise ConversionError("The ranks come from different checkpoints: they don't agree.")
        return first


class Source:
    """A checkpoint's tensors by our names. `shapes` has them all on the meta device.

    `heads` is the number of attention heads where the checkpoint tells it, `wide` says that there
    are float32 numbers. Raises ConversionError or WeightsError for what can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heads: int | None = None
        self._open = self._format(path)
        self._parts = self._open()
        self._read = 0
        self.shapes = self._shapes()
        self.wide = any(shape.dtype == torch.float32 for shape in self.shapes.values())

    def read(self, name: str) -> Tensor:
        """One tensor as float16, contiguous. Raises ConversionError when a number doesn't fit."""
        if self._read > OPEN_FOR_BYTES:
            self._parts, self._read = {}, 0
            self._parts = self._open()
        self._read += self.shapes[name].nbytes
        tensor = self._parts[name].join().to(torch.float16).contiguous()
        if tensor.numel() and not all(extreme.isfinite() for extreme in tensor.aminmax()):
            raise ConversionError(
                f"{name} in {self.path} holds numbers that float16 can't; the file is damaged."
            )
        return tensor

    def _format(self, path: Path) -> Callable[[], dict[str, Parts]]:
        """How to map what lies there, by its names."""
        try:
            if path.is_file():
                return lambda: _whole(names.published(torch_tensors(path)))
            if not path.is_dir():
                raise ConversionError(f"There is no checkpoint {path}.")
            files = sorted(path.iterdir())
        except OSError as error:
            raise ConversionError(f"{path} can't be read: {error.strerror}.") from error
        if (path / native.CONFIG_FILE).exists():
            return self._model_folder(path)
        if ranks := [file for file in files if RANK_FILE.fullmatch(file.name)]:
            return _ranks(path, ranks)
        if arrays := [file for file in files if _is_mindspore(file)]:
            return lambda: _whole(dict(_mindspore_tensors(arrays)))
        raise ConversionError(
            f"{path} is no checkpoint: it needs mp_rank_00_model_states.pt, the .npy files of "
            f"MindSpore or {native.CONFIG_FILE}; name a .pt file itself."
        )

    def _model_folder(self, path: Path) -> Callable[[], dict[str, Parts]]:
        description = native.read_description(path)
        if description.tokenizer != native.CODEGEEX_13B:
            raise ConversionError(f"{path} holds another model than CodeGeeX-13B.")
        native.verify(path, description)
        self.heads = description.config.num_attention_heads
        return lambda: _whole(_safe_tensors(path, description.weights))

    def _shapes(self) -> dict[str, Tensor]:
        shapes = {}
        for name, parts in self._parts.items():
            try:
                shapes[name] = parts.blank
            except (RuntimeError, IndexError) as error:
                raise ConversionError(f"The ranks' parts of {name} don't fit together.") from error
            if shapes[name].dtype not in (torch.float16, torch.float32):
                raise ConversionError(
                    f"{name} in {self.path} is {shapes[name].dtype}, which can't be converted; "
                    "start from the float16 checkpoint."
                )
        return shapes


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Parts]:
    return {name: Parts((tensor,)) for name, tensor in tensors.items()}


def _ranks(folder: Path, files: list[Path]) -> Callable[[], dict[str, Parts]]:
    files = sorted(files, key=_rank_number)
    numbers = [_rank_number(file) for file in files]
    if missing := sorted(set(range(max(numbers) + 1)) - set(numbers)):
        raise ConversionError(f"{folder} lacks mp_rank_{missing[0]:02}_model_states.pt.")

    def mapped() -> dict[str, Parts]:
        ranks = [names.published(torch_tensors(file)) for file in files]
        for file, rank in zip(files, ranks, strict=True):
            if other := sorted(rank.keys() ^ ranks[0].keys()):
                raise ConversionError(f"{file} and {files[0].name} don't both hold {other[0]}.")
        _check_count(folder, ranks)
        return {
            name: Parts(tuple(rank[name] for rank in ranks), names.split_axis(name))
            for name in ranks[0]
        }

    return mapped


def _rank_number(file: Path) -> int:
    return int(file.name.split("_")[2])


def _check_count(folder: Path, ranks: list[dict[str, Tensor]]) -> None:
    """A folder without its last ranks has no gap, but its parts don't add up."""
    norm = ranks[0].get("transformer.final_layernorm.bias")
    bias = ranks[0].get("transformer.topQueryLayer.attention.query.bias")
    if norm is None or bias is None or not len(bias):
        return
    wanted = len(norm) // len(bias)
    if wanted > len(ranks):
        raise ConversionError(
            f"{folder} has {len(ranks)} of the {wanted} ranks of its checkpoint; all are needed."
        )


def torch_tensors(path: Path) -> dict[str, Tensor]:
    """What torch.save wrote, flat: the language model's tensors under dotted names, not yet read.

    Raises ConversionError.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConversionError(f"{path} can't be read: {error.strerror}.") from error
    try:
        # Training scripts keep their arguments beside the tensors, in a plain record.
        with torch.serialization.safe_globals([argparse.Namespace]):
            root = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        for key in ("module", "language_model"):
            if isinstance(root, Mapping) and isinstance(root.get(key), Mapping):
                root = root[key]
        tensors = dict(_flat(root, ""))
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"{path} is damaged, or holds code beside its tensors, which is never run."
        ) from error
    except Exception as error:  # a damaged pickle may fail in any way
        raise ConversionError(
            f"{path} is cut off, damaged, or no checkpoint that PyTorch 1.6 or newer wrote."
        ) from error
    if not tensors:
        raise ConversionError(f"{path} holds no tensors by name.")
    return tensors


def _flat(nested: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in nested.items():
        if isinstance(value, Tensor) and value.layout is torch.strided:
            yield f"{path}{name}", value.detach()
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")


def _is_mindspore(file: Path) -> bool:
    return file.suffix == ".npy" and file.name.startswith(names.MINDSPORE_ROOT)


def _mindspore_tensors(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
    for file in files:
        try:
            # Copy on write: torch warns of arrays that can't be written to, and nobody writes.
            tensor = torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False))
        except (ValueError, TypeError, EOFError) as error:
            raise ConversionError(f"{file} is cut off, damaged, or no array of numbers.") from error
        except OSError as error:
            raise ConversionError(f"{file} can't be read: {error.strerror}.") from error
        yield names.mindspore(file.stem, tensor)


def _safe_tensors(folder: Path, files: list[str]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= load_file(folder / file)
        except SafetensorError as error:
            raise ConversionError(f"{folder / file} is no safetensors file.") from error
        except OSError as error:
            raise ConversionError(f"{folder / file} can't be read: {error.strerror}.") from error
    return tensors
