"""What the new folder will hold: the network's shape, how each tensor is stored, in which file.

All of it follows from the shapes, before anything large is read, so that a checkpoint that doesn't
fit together and a full disk are found at once. conversion.convert calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model_runtime.conversion.sources import Source
from model_runtime.conversion.target import HashedFile, safetensors_header
from model_runtime.errors import ConversionError
from model_runtime.folders.assembly import SCALE_SUFFIX, blank_network, check_shapes
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.quantization import quantize_int4, quantize_int8

# CodeGeeX-13B; the shapes don't tell the number of heads.
HEADS_OF_HIDDEN_SIZE = {5120: 40}
SHARD_BYTES = 1_500_000_000
# Rows of a matrix are independent; so many at a time keep the intermediate values small.
ROWS_AT_ONCE = 2048

# Rows [n, in] float16 to what is stored of them, by what is put behind the matrix's name.
Scheme = Callable[[Tensor], Mapping[str, Tensor]]


def _float16(rows: Tensor) -> dict[str, Tensor]:
    return {"": rows}


def _int8(rows: Tensor) -> dict[str, Tensor]:
    codes, scale = quantize_int8(rows)
    return {"": codes, SCALE_SUFFIX: scale}


def _int4(rows: Tensor) -> dict[str, Tensor]:
    matrix = quantize_int4(rows)
    return {"": matrix.packed, SCALE_SUFFIX: matrix.scale}


SCHEMES: dict[str, Scheme] = {"none": _float16, "int8": _int8, "int4": _int4}


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: the tensors to store in it with their schemes, and the header that says so."""

    file: str
    tensors: Mapping[str, Scheme]
    header: bytes
    size: int

    def create(self, folder: Path) -> HashedFile:
        return HashedFile(folder / self.file, self.header)


def scheme_named(name: str) -> Scheme:
    if name not in SCHEMES:
        raise ConversionError(f"{name} is no way to quantize; use one of {', '.join(SCHEMES)}.")
    return SCHEMES[name]


def network_config(source: Source, heads: int | None) -> CodeGeeXConfig:
    """The network's shape, checked against every tensor's. Raises ConversionError, WeightsError."""
    words, hidden = _table(source, "embedding.word_embeddings.weight")
    positions, _ = _table(source, "embedding.position_embeddings.weight")
    blocks = {
        name.split(".")[2] for name in source.shapes if name.startswith("transformer.layers.")
    }
    heads = heads or source.heads or HEADS_OF_HIDDEN_SIZE.get(hidden)
    if heads is None:
        raise ConversionError(
            f"The hidden size {hidden} doesn't tell the number of attention heads; add --heads N."
        )
    if heads < 1 or hidden % heads:
        raise ConversionError(f"{heads} attention heads can't share a hidden size of {hidden}.")
    config = CodeGeeXConfig(hidden, len(blocks), heads, words, positions)
    check_shapes(source.path, blank_network(config).state_dict(), source.shapes)
    return config


def _table(source: Source, name: str) -> tuple[int, int]:
    """Rows and columns of an embedding."""
    shape = source.shapes.get(name)
    if shape is None:
        raise ConversionError(f"{source.path} holds another model than CodeGeeX-13B: no {name}.")
    if shape.dim() != 2 or not shape.numel():
        raise ConversionError(f"{name} in {source.path} is {list(shape.shape)} and no table.")
    return shape.shape[0], shape.shape[1]


def stored_parts(tensor: Tensor, scheme: Scheme) -> dict[str, Tensor]:
    """What is stored of one tensor, by what is put behind its name."""
    if scheme is _float16:
        return {"": tensor}
    parts = [scheme(rows) for rows in torch.split(tensor, ROWS_AT_ONCE)]
    return {end: torch.cat([part[end] for part in parts]) for end in parts[0]}


def plan_shards(network: Mapping[str, Tensor], scheme: Scheme) -> list[Shard]:
    """The files for the parameters of `network`, in its order, layer by layer.

    The matrices of the blocks are stored by `scheme`, embeddings and vectors as float16.
    """
    groups: list[dict[str, Scheme]] = [{}]
    room = SHARD_BYTES
    for name, shape in network.items():
        quantized = shape.dim() == 2 and name.startswith("transformer.")
        chosen = scheme if quantized else _float16
        size = sum(part.nbytes for part in _planned(shape, chosen).values())
        if groups[-1] and size > room:
            groups.append({})
            room = SHARD_BYTES
        groups[-1][name] = chosen
        room -= size
    return [
        _shard(f"model-{index:05}-of-{len(groups):05}.safetensors", group, network)
        for index, group in enumerate(groups, 1)
    ]


def _planned(shape: Tensor, scheme: Scheme) -> dict[str, Tensor]:
    return stored_parts(shape.to(torch.float16), scheme)


def _shard(file: str, tensors: Mapping[str, Scheme], network: Mapping[str, Tensor]) -> Shard:
    parts = {
        name + suffix: part
        for name, scheme in tensors.items()
        for suffix, part in _planned(network[name], scheme).items()
    }
    header = safetensors_header(parts)
    return Shard(file, tensors, header, len(header) + sum(part.nbytes for part in parts.values()))
