"""How fast a CodeGeeX of a given size runs here, in float, INT8 and INT4, with random weights.

Speed doesn't depend on the values, so no model has to be there. It measures what the memory
delivers too, because a decode step reads every weight once. It makes a table and serves nobody.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

from model_runtime import fit
from model_runtime.device import Device
from model_runtime.kv_cache import Rows
from model_runtime.models import linear
from model_runtime.models.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.quantization import (
    Int8Matrix,
    Precision,
    QuantizedMatrix,
    quantize_int4,
    quantize_int8,
)

CODEGEEX_13B = CodeGeeXConfig(5120, 39, 40, 52224, 2048)
CONTEXTS = (128, 512, 2048)
PREFILL = 1024
STEPS = 5
# Larger than any processor's cache.
COPIED_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds: a token at each of CONTEXTS, and a prefill of PREFILL tokens.

    `read_bytes` is what a decode step has to read of the weights.
    """

    name: str
    decode: tuple[float, ...]
    prefill: float
    read_bytes: int


def sized(name: str, device: Device) -> CodeGeeXConfig:
    """The shape of "random:codegeex-13b" or "random:codegeex-13b@2layers".

    The layers are the blocks before the top query layer. Raises ValueError for another name and
    FitError for more layers than the device has memory for.
    """
    found = re.fullmatch(r"random:codegeex-13b(@(\d+)layers)?", name, re.ASCII)
    if found is None:
        raise ValueError(f'"{name}" is no random model; use random:codegeex-13b@2layers.')
    config = replace(CODEGEEX_13B, num_layers=int(found[2])) if found[2] else CODEGEEX_13B
    needed = fit.need(config, Precision.FLOAT16, device.dtype).total
    free = fit.free_bytes(device.place)
    if free is not None and needed > free:
        raise fit.FitError(
            f"{name} needs {needed / fit.GIB:.1f} GiB, and {free / fit.GIB:.1f} GiB are free; "
            "name fewer layers, as in random:codegeex-13b@2layers."
        )
    return config


@torch.inference_mode()
def measure(config: CodeGeeXConfig, device: Device) -> Iterator[Speed]:
    """Float, INT8, INT4, one after the other and one at a time in memory."""
    for precision in Precision:
        network = random_network(config, precision, device)
        yield _speed(network, precision, device)


def copy_speed(device: Device) -> float:
    """Bytes a second that reading memory and writing it elsewhere moves, counted both ways."""
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device.place)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / (_typical(lambda: target.copy_(source), device) / 1000)


def table(config: CodeGeeXConfig, speeds: Iterator[Speed], bandwidth: float) -> Iterator[str]:
    """The lines to print, each as soon as its numbers are there.

    "of copying" is how much of the bandwidth of copying the first decode's reading of the weights
    comes to; reading alone may go faster than copying, so it can pass 100 %.
    """
    blocks = config.num_layers + 1
    yield f"{blocks} blocks of {config.hidden_size}; copying moves {bandwidth / 1e9:.1f} GB/s"
    contexts = " ".join(f"{f'at {context}':>9}" for context in CONTEXTS)
    yield f"{'ms/token':<9} {contexts} {f'prefill {PREFILL}':>13} {'of copying':>11}"
    for speed in speeds:
        decode = " ".join(f"{ms:>9.1f}" for ms in speed.decode)
        limit = speed.read_bytes / bandwidth * 1000
        share = f"{limit / speed.decode[0]:.0%}"
        yield f"{speed.name:<9} {decode} {speed.prefill:>13.0f} {share:>11}"


def random_network(config: CodeGeeXConfig, precision: Precision, device: Device) -> CodeGeeX:
    """Small random weights, served in `precision`; blocks share the values of their matrices."""
    with torch.device("meta"):
        network = CodeGeeX(config)
    parameters = {
        name: torch.empty(meta.shape, dtype=device.dtype, device=device.place).uniform_(-0.02, 0.02)
        for name, meta in network.state_dict().items()
        if precision is Precision.FLOAT16 or not _in_a_linear(name)
    }
    network.load_state_dict(parameters, assign=True, strict=False)
    if precision is not Precision.FLOAT16:
        _quantize(network, precision, device)
    return network.requires_grad_(False).eval()


def _quantize(network: CodeGeeX, precision: Precision, device: Device) -> None:
    made: dict[torch.Size, QuantizedMatrix] = {}
    for name, meta in network.state_dict().items():
        if not _in_a_linear(name):
            continue
        if meta.shape not in made:
            made[meta.shape] = _random_matrix(meta.shape, precision)
        linear.replace(network, {name: made[meta.shape]}, device.place, device.dtype)


def _random_matrix(shape: torch.Size, precision: Precision) -> QuantizedMatrix:
    weight = torch.empty(shape, dtype=torch.float16).uniform_(-0.02, 0.02)
    if precision is Precision.INT8:
        return Int8Matrix(*quantize_int8(weight))
    return quantize_int4(weight)


def _in_a_linear(name: str) -> bool:
    return name.endswith("weight") and (".attention." in name or ".mlp." in name)


def _speed(network: CodeGeeX, precision: Precision, device: Device) -> Speed:
    config = network.config
    rows = _rows(config, device)
    ids = torch.zeros((1, PREFILL), dtype=torch.int64, device=device.place)

    def decode(context: int) -> float:
        token = ids[:, :1]
        return _typical(lambda: network(token, rows, context - 1), device)

    def prefill() -> None:
        for start in range(0, PREFILL, device.prefill_chunk):
            network(ids[:, start : start + device.prefill_chunk], rows, start)

    decoded = tuple(decode(context) for context in CONTEXTS)
    name = str(precision)
    if precision is Precision.FLOAT16:
        name = str(device.dtype).removeprefix("torch.")
    return Speed(name, decoded, _typical(prefill, device, 1), _read_bytes(network, precision))


def _read_bytes(network: CodeGeeX, precision: Precision) -> int:
    """The blocks' weights and the table of words, which gives the logits."""
    linears = network.config.hidden_size**2 * 12 * (network.config.num_layers + 1)
    words = network.embedding.word_embeddings.weight
    width = {Precision.INT8: 1.0, Precision.INT4: 0.5}.get(precision, words.itemsize)
    return int(linears * width) + words.nbytes


def _rows(config: CodeGeeXConfig, device: Device) -> Rows:
    shape = (1, config.num_attention_heads, config.max_position_embeddings, config.head_dim)

    def layers() -> tuple[Tensor, ...]:
        zeros = torch.zeros((config.num_layers + 1, *shape), dtype=device.dtype)
        return zeros.to(device.place).unbind(0)

    return Rows(layers(), layers())


def _typical(work: Callable[[], object], device: Device, steps: int = STEPS) -> float:
    """Milliseconds of the middle one of a few runs, after one that isn't counted."""
    taken = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        work()
        device.wait()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken[1:])
