"""From the tensors of a model folder to a network, its matrices float, stored or quantized now.

Tensors are read one at a time and let go: a float model that is quantized while it is loaded needs
the memory of the quantized one and of its largest matrix, not its own. It knows names and shapes,
neither config.json nor checksums; native.py calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from model_runtime.errors import WeightsError
from model_runtime.networks import bitsandbytes_linear, linear, onnx_trial
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kept import BitsAndBytes, Precision
from model_runtime.networks.quantization import (
    Int4Matrix,
    Int8Matrix,
    QuantizedMatrix,
    quantize_int4,
    quantize_int8,
)

if TYPE_CHECKING:
    from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX

# A quantized matrix "x.weight", int8 or packed uint8, travels with its scales, "x.weight.scale".
SCALE_SUFFIX = ".scale"


class Shards:
    """The tensors in a model's safetensors files. Raises WeightsError for what is none."""

    def __init__(self, folder: Path, files: Iterable[str]) -> None:
        self.folder = folder
        self._file: dict[str, Path] = {}
        self.described: dict[str, Tensor] = {}
        """Every tensor on the meta device: shapes and types without a byte of weights."""
        for path in (folder / file for file in files):
            try:
                with safe_open(path, framework="pt") as file:
                    for name in file.keys():  # noqa: SIM118
                        self._file[name] = path
                        self.described[name] = file.get_tensor(name).to("meta")
            except SafetensorError as error:
                raise WeightsError(f"{path} is no safetensors file: {error}.") from error

    def read(self, name: str) -> Tensor:
        """Opens the file anew: pages that were read count as resident until it is closed."""
        with safe_open(self._file[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor


def assemble(
    shards: Shards,
    config: CodeGeeXConfig,
    place: torch.device,
    dtype: torch.dtype,
    quantize: Precision | BitsAndBytes | None = None,
) -> CodeGeeX:
    """The network on `place`, computing in `dtype`; `quantize` its float matrices while reading.

    Raises WeightsError unless the tensors are just those of the network.
    """
    network = blank_network(config)
    wanted = network.state_dict()
    stored = _stored_matrices(shards, wanted)
    check_shapes(shards.folder, wanted, {**_floats(shards), **stored})
    served = linear.worth_serving(network, stored).keys()
    quantized = _linear_weights(network) - stored.keys() if quantize else set()
    parameters = {}
    for name in wanted.keys() - served - quantized:
        tensor = _matrix(shards, name, wanted).dequantized() if name in stored else None
        parameters[name] = (shards.read(name) if tensor is None else tensor).to(place, dtype)
    network.load_state_dict(parameters, assign=True, strict=False)
    # The layers take the biases that are loaded by now.
    for name in sorted(served):
        linear.replace(network, {name: _matrix(shards, name, wanted)}, place, dtype)
    words = "embedding.word_embeddings.weight"
    if served and place.type == "cpu" and isinstance(stored.get(words), Int8Matrix):
        network.head = linear.head(_matrix(shards, words, wanted), dtype)
    for name in sorted(quantized):
        quantize_layer(network, name, shards.read(name).to(place), quantize, place, dtype)
    return network.requires_grad_(False).eval()


def assemble_int8(shards: Shards, config: CodeGeeXConfig) -> OnnxCodeGeeX | None:
    """A network for a CPU whose matrices are all stored in INT8, or None for assemble() to do it.

    Raises WeightsError unless the tensors are just those of the network.
    """
    wanted = blank_network(config).state_dict()
    stored = _stored_matrices(shards, wanted)
    check_shapes(shards.folder, wanted, {**_floats(shards), **stored})
    matrices = {name for name, meta in wanted.items() if meta.dim() == 2}
    in_int8 = {name for name, matrix in stored.items() if isinstance(matrix, Int8Matrix)}
    if in_int8 != matrices or not onnx_trial.serves(config):
        return None
    from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX

    codes = {name: _matrix(shards, name, wanted) for name in matrices}
    return OnnxCodeGeeX(
        config,
        {name: matrix for name, matrix in codes.items() if isinstance(matrix, Int8Matrix)},
        {name: shards.read(name) for name in wanted.keys() - matrices},
    )


def blank_network(config: CodeGeeXConfig) -> CodeGeeX:
    """The network without storage: shapes only."""
    with torch.device("meta"):
        return CodeGeeX(config)


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


def _stored_matrices(shards: Shards, wanted: Mapping[str, Tensor]) -> dict[str, QuantizedMatrix]:
    """The INT8 and INT4 matrices of the files by name, without their numbers."""
    matrices: dict[str, QuantizedMatrix] = {}
    described = shards.described
    for name in sorted(described.keys() & wanted.keys()):
        if (scale := described.get(name + SCALE_SUFFIX)) is None:
            continue
        try:
            matrices[name] = _paired(described[name], scale, wanted[name].shape[-1])
        except ValueError as error:
            raise WeightsError(
                f"{name} in {shards.folder} and its scales don't match: {error}."
            ) from error
    return matrices


def _floats(shards: Shards) -> dict[str, Tensor]:
    """Every tensor that is no scale, on the meta device."""
    return {n: t for n, t in shards.described.items() if not n.endswith(SCALE_SUFFIX)}


def _matrix(shards: Shards, name: str, wanted: Mapping[str, Tensor]) -> QuantizedMatrix:
    scale = shards.read(name + SCALE_SUFFIX)
    return _paired(shards.read(name), scale, wanted[name].shape[-1])


def _paired(codes: Tensor, scale: Tensor, columns: int) -> QuantizedMatrix:
    return Int8Matrix(codes, scale) if scale.dim() == 1 else Int4Matrix(codes, scale, columns)


def _linear_weights(network: nn.Module) -> set[str]:
    return {f"{n}.weight" for n, part in network.named_modules() if isinstance(part, nn.Linear)}


def quantize_layer(
    network: nn.Module,
    name: str,
    weight: Tensor,
    kind: Precision | BitsAndBytes | None,
    place: torch.device,
    dtype: torch.dtype,
) -> None:
    """Put a layer with the quantized `weight` where the network has an nn.Linear."""
    if kind is Precision.INT8:
        linear.replace(network, {name: Int8Matrix(*quantize_int8(weight.half()))}, place, dtype)
    elif kind is Precision.INT4:
        linear.replace(network, {name: quantize_int4(weight.half())}, place, dtype)
    elif isinstance(kind, BitsAndBytes):
        path, _, child = name.removesuffix(".weight").rpartition(".")
        parent = network.get_submodule(path)
        bias = linear.bias_of(parent.get_submodule(child))
        setattr(parent, child, bitsandbytes_linear.layer(kind, weight, bias, place))
