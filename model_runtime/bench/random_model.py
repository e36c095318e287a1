"""Random weights for a CodeGeeX of the published size, of fewer layers, or of a model's size."""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import Tensor

from model_runtime.device import memory
from model_runtime.device.kinds import Device
from model_runtime.folders import fit, hub_folder, native
from model_runtime.folders.assembly import blank_network
from model_runtime.folders.loaded import MemoryPlan
from model_runtime.networks import linear
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kept import GROUP, Precision
from model_runtime.networks.kernels.dequantizing import Dequantizing
from model_runtime.networks.quantization import Int4Matrix, Int8Matrix, QuantizedMatrix

CODEGEEX_13B = CodeGeeXConfig(5120, 39, 40, 52224, 2048)
LARGEST_WEIGHT = 0.02


def sized(name: str, device: Device) -> CodeGeeXConfig:
    """The shape of "random:codegeex-13b", "random:codegeex-13b@2layers", or a model by its name.

    The layers are the blocks before the top query layer. Raises ValueError for another "random:",
    WeightsError for a model that isn't there, FitError for more than the device has memory for.
    """
    found = re.fullmatch(r"random:codegeex-13b(@(\d+)layers)?", name, re.ASCII)
    if found is not None:
        config = replace(CODEGEEX_13B, num_layers=int(found[2])) if found[2] else CODEGEEX_13B
    elif name.startswith("random:"):
        raise ValueError(f'"{name}" is no random model; use random:codegeex-13b@2layers.')
    elif (other := hub_folder.find(name)) is not None:
        raise ValueError(
            f"{name} is a {other.config['model_type']} network, and only CodeGeeX's are measured; "
            "use random:codegeex-13b@2layers or codegeex-nano."
        )
    else:
        config = native.read_description(native.folder_of(name)).config
    needed, free = in_floats(config, device), memory.free_bytes(device.place)
    if free is not None and not needed.fits(free):
        sizes = f"{needed.total / fit.GIB:.1f} GiB, and {free / fit.GIB:.1f} GiB are free"
        raise fit.FitError(
            f"{name} needs {sizes}; name fewer layers, as in random:codegeex-13b@2layers."
        )
    return config


def in_floats(config: CodeGeeXConfig, device: Device) -> fit.Need:
    """What such a network takes unquantized, with the KV cache that fits."""
    kept = Precision.FLOAT16
    plan = MemoryPlan("random", kept, kept, config, device.dtype, device.place)
    return plan.needs(memory.free_bytes(device.place))[kept]


def random_network(config: CodeGeeXConfig, precision: Precision, device: Device) -> CodeGeeX:
    """Small weights made on the device, served in `precision`."""
    network = blank_network(config)
    parameters = {
        name: random_tensor(meta.shape, device)
        for name, meta in network.state_dict().items()
        if precision is Precision.FLOAT16 or not _in_a_linear(name)
    }
    network.load_state_dict(parameters, assign=True, strict=False)
    if precision is not Precision.FLOAT16:
        for name, meta in network.state_dict().items():
            if _in_a_linear(name):
                matrix = random_matrix(meta.shape, precision, device)
                linear.replace(network, {name: matrix}, device.place, device.dtype)
    return network.requires_grad_(False).eval()


def random_tensor(shape: torch.Size, device: Device) -> Tensor:
    blank = torch.empty(shape, dtype=device.dtype, device=device.place)
    return blank.uniform_(-LARGEST_WEIGHT, LARGEST_WEIGHT)


def random_matrix(shape: torch.Size, precision: Precision, device: Device) -> QuantizedMatrix:
    """All codes, one scale for all."""
    rows, columns = shape
    largest, width = (127, columns) if precision is Precision.INT8 else (7, -(-columns // GROUP))
    scale = torch.full((rows, width), LARGEST_WEIGHT / largest, dtype=torch.float16)
    scale = scale.to(device.place)
    if precision is Precision.INT8:
        codes = torch.randint(-127, 128, (rows, columns), dtype=torch.int8, device=device.place)
        return Int8Matrix(codes, scale[:, 0].contiguous())
    size = rows, width * GROUP // 2
    return Int4Matrix(
        torch.randint(0, 256, size, dtype=torch.uint8, device=device.place), scale, columns
    )


def dequantized_each_time(network: CodeGeeX, device: Device) -> None:
    """Let each INT8 layer of `network` write its float weights before every product."""
    for name, meta in blank_network(network.config).state_dict().items():
        if _in_a_linear(name):
            layer = network.get_submodule(name.removesuffix(".weight"))
            matrix = random_matrix(meta.shape, Precision.INT8, device)
            layer.kernel = Dequantizing(matrix, device.dtype)  # type: ignore[assignment]


def _in_a_linear(name: str) -> bool:
    return name.endswith("weight") and (".attention." in name or ".mlp." in name)
