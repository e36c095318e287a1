"""What is measured of a network: a token at several lengths, a prefill, several candidates, memory.

The prefill goes in the engine's chunks, and on a GPU decode steps are replayed as they are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from model_runtime.bench.memory import Peak
from model_runtime.bench.random_model import in_floats
from model_runtime.device.kinds import Device
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.graphs import CudaCapture, DecodeGraphs
from model_runtime.networks.kv_cache import KVCache
from model_runtime.networks.linear import Int4Linear, QuantizedLinear
from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX

Network = CodeGeeX | OnnxCodeGeeX

CONTEXTS = (128, 512, 2048)
PREFILL = 1024
CANDIDATES = 8
STEPS = 5
# Larger than any processor's cache.
COPIED_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and what was measured; `copied_per_s` counts bytes read and bytes written."""

    date: str
    name: str
    device: str
    torch: str
    model: str
    blocks: int
    hidden: int
    copied_per_s: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """What a request still took after its cancel: steps, and milliseconds to its answer."""

    steps: int
    ms: float


@dataclass(slots=True)
class Speed:
    """Milliseconds: `decode` a token at each of `contexts`, `prefill` of PREFILL tokens (fewer
    where the model has fewer positions), `several` a step of CANDIDATES rows at the first context.

    Bytes: `read` by a decode step of the weights, `weights` as they are served, `cache` of one row,
    `peak` at most held while one row was measured. None is what wasn't measured.
    """

    name: str
    contexts: tuple[int, ...]
    decode: tuple[float, ...]
    read: int
    weights: int
    cache: int
    kernel: str
    prefill: float | None = None
    several: float | None = None
    peak: int | None = None
    cancel: Cancel | None = None

    def share(self, copied_per_s: float) -> float:
        """The first decode's reading of the weights as a share of the speed of copying."""
        return self.read / copied_per_s * 1000 / self.decode[0]

    @property
    def over(self) -> float | None:
        """The peak as a multiple of weights and cache."""
        return None if self.peak is None else self.peak / (self.weights + self.cache)


def copy_speed(device: Device) -> float:
    """Bytes a second that reading memory and writing it elsewhere moves, counted both ways."""
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device.place)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / (typical(lambda: target.copy_(source), device) / 1000)


def measure_network(name: str, network: Network, device: Device, *, peer: bool = False) -> Speed:
    """All of it, or of a peer the decode steps alone."""
    config = network.config
    contexts = contexts_of(config)
    peak = Peak(device, weight_bytes(network))
    cache = _cache(config, device, 1)
    decode = tuple(typical(_step(network, cache, device, context), device) for context in contexts)
    speed = Speed(
        name,
        contexts,
        decode,
        read_bytes(network),
        weight_bytes(network),
        cache.bytes,
        kernel_name(network),
    )
    if not peer:
        speed.prefill = typical(_prefill(network, cache, device), device, 1)
        speed.peak = peak.bytes()
        cache = _cache(config, device, CANDIDATES)
        speed.several = typical(_step(network, cache, device, contexts[0]), device)
    return speed


def contexts_of(config: CodeGeeXConfig) -> tuple[int, ...]:
    """Those of CONTEXTS that the model has, or its longest."""
    longest = config.max_position_embeddings
    return tuple(context for context in CONTEXTS if context <= longest) or (longest,)


def kernel_name(network: Network) -> str:
    """What multiplies with the blocks' matrices."""
    if isinstance(network, OnnxCodeGeeX):
        return "onnxruntime"
    for part in network.modules():
        if isinstance(part, QuantizedLinear):
            return type(part.kernel).__name__
    return "torch"


def weight_bytes(network: Network) -> int:
    """As the formats need them, without a kernel's padding and copies."""
    if isinstance(network, OnnxCodeGeeX):
        return network.config.linear_parameters + network.config.other_parameters
    linears = _linear_weights(network)
    held = sum(parameter.nbytes for parameter in network.parameters())
    return held + (0 if kernel_name(network) == "torch" else _stored(network, linears))


def read_bytes(network: Network) -> int:
    """What a decode step reads: the blocks' weights and the table of words, for the logits."""
    if isinstance(network, OnnxCodeGeeX):
        config = network.config
        return config.linear_parameters + config.vocab_size * config.hidden_size
    linears, words = _linear_weights(network), network.embedding.word_embeddings.weight
    if kernel_name(network) == "torch":
        return linears * words.itemsize + words.nbytes
    return _stored(network, linears) + words.nbytes


def typical(work: Callable[[], object], device: Device, steps: int = STEPS) -> float:
    """Milliseconds of the middle one of a few runs, after one that isn't counted."""
    taken = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        work()
        device.wait()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken[1:])


def _linear_weights(network: CodeGeeX) -> int:
    return network.config.hidden_size**2 * 12 * (network.config.num_layers + 1)


def _stored(network: CodeGeeX, linears: int) -> int:
    """Codes and scales: INT4 has one for 64 codes; those of INT8 are too few to count."""
    int4 = any(isinstance(part, Int4Linear) for part in network.modules())
    return linears // 2 + linears // 32 if int4 else linears


def _step(network: Network, cache: KVCache, device: Device, context: int) -> Callable[[], object]:
    """One decode step of all rows of `cache`, behind context - 1 tokens."""
    rows = cache.rows(range(cache.slots))
    if device.place.type == "cuda" and isinstance(network, CodeGeeX):
        graphs = DecodeGraphs(network, CudaCapture())
        ids, positions = [0] * cache.slots, [context - 1] * cache.slots
        return lambda: graphs.step(ids, positions, rows)
    tokens = torch.zeros((cache.slots, 1), dtype=torch.int64, device=device.place)
    return lambda: network(tokens, rows, context - 1)


def _prefill(network: Network, cache: KVCache, device: Device) -> Callable[[], object]:
    rows = cache.rows([0])
    length = min(PREFILL, network.config.max_position_embeddings)
    ids = torch.zeros((1, length), dtype=torch.int64, device=device.place)

    def run() -> None:
        for start in range(0, length, device.prefill_chunk):
            network(ids[:, start : start + device.prefill_chunk], rows, start)

    return run


def _cache(config: CodeGeeXConfig, device: Device, rows: int) -> KVCache:
    return KVCache(
        layers=config.num_layers + 1,
        heads=config.num_attention_heads,
        head_dim=config.head_dim,
        context=config.max_position_embeddings,
        slots=rows,
        branches=0,
        dtype=getattr(torch, in_floats(config, device).kv.dtype),
        device=device.place,
    )
