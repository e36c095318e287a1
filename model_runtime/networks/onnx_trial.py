"""Whether onnxruntime gives the right numbers by INT8 products: a small network beside torch's.

Its INT8 products are another code on each kind of processor, and where it has none for one it
makes float weights of them before each product, which takes three times as long as torch. The
numbers tell which it is, whatever else the machine is doing. Tried once a process; the reason is
logged, and torch serves the network.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from model_runtime.networks import kv_size
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kernels.trial import outcome
from model_runtime.networks.kv_cache import Rows
from model_runtime.networks.quantization import Int8Matrix, quantize_int8

SMALL = CodeGeeXConfig(
    hidden_size=128,
    num_layers=1,
    num_attention_heads=2,
    vocab_size=4096,
    max_position_embeddings=16,
)
# A network is one message for onnxruntime, of 2 GB at most.
LARGEST = 1_000_000_000
# What the logits may differ from torch's with the same INT8 weights, of their norm: activations are
# rounded to INT8 here. It is 1.8 to 2.2 %, and with products of floats 0.06 %.
TOLERANCE = 0.1
ROUNDED = 0.005


def serves(config: CodeGeeXConfig) -> bool:
    """Whether a network of this size in INT8 is run by onnxruntime on a CPU.

    Its attention reads and writes float32; a large KV cache is kept in less.
    """
    small = config.linear_parameters + config.other_parameters <= LARGEST
    kept = kv_size.kept_in(config, "float32", on_cpu=True)
    return small and kept == "float32" and not why_not()


@functools.cache
def why_not() -> str:
    """Empty when it can be used, else what was wrong."""
    return outcome("onnxruntime", _wrong)


def _wrong() -> str:
    errors = _errors()
    wrong = [error for error in errors if not error <= TOLERANCE]  # nor when it is no number
    if wrong:
        return f"its logits are off by {wrong[0]:.0%}"
    return "" if min(errors) > ROUNDED else "it has no INT8 products for this processor"


@torch.inference_mode()
def _errors() -> list[float]:
    """Those of many positions, of a few and of one: each may be another code."""
    from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX

    network, matrices, vectors = random_int8_network(SMALL)
    other = OnnxCodeGeeX(SMALL, matrices, vectors)
    rows, other_rows = _blank_rows(), _blank_rows()
    ids = torch.arange(14).unsqueeze(0)
    errors = []
    for first, behind in ((0, 10), (10, 13), (13, 14)):
        expected = network(ids[:, first:behind], rows, first, all_positions=True)
        found = other(ids[:, first:behind], other_rows, first, all_positions=True)
        errors.append(float((found - expected).norm() / expected.norm()))
    return errors


def random_int8_network(
    config: CodeGeeXConfig,
) -> tuple[CodeGeeX, dict[str, Int8Matrix], dict[str, Tensor]]:
    """With large codes in every row; the same as INT8 matrices and as vectors."""
    with torch.device("meta"):
        network = CodeGeeX(config)
    random = torch.Generator().manual_seed(0)
    matrices, vectors, floats = {}, {}, {}
    for name, blank in network.state_dict().items():
        values = torch.randn(blank.shape, generator=random) / 8
        if blank.dim() == 2:
            matrices[name] = Int8Matrix(*quantize_int8(values.half()))
            floats[name] = matrices[name].dequantized().float()
        else:
            vectors[name] = floats[name] = values + float(name.endswith("norm.weight"))
    network.load_state_dict(floats, assign=True)
    return network.requires_grad_(False).eval(), matrices, vectors


def _blank_rows() -> Rows:
    shape = (1, SMALL.num_attention_heads, SMALL.max_position_embeddings, SMALL.head_dim)
    keys, values = (
        tuple(torch.zeros(shape) for _ in range(SMALL.kv_layers)) for _ in ("keys", "values")
    )
    return Rows(keys, values)
