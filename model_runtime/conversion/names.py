"""The names that checkpoints give their tensors, and ours for them.

Ours are those of the published single file. It knows names, splits and transposes of tensors that
are mapped, and reads none. sources.py calls it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from model_runtime.errors import ConversionError

# A checkpoint may nest the same parts more or less deeply: what counts begins here.
PART = re.compile(
    r"(?:^|\.)(word_embeddings|position_embeddings|top_query_embeddings|transformer)\."
)
PLACES = {
    "word_embeddings": "embedding.word_embeddings",
    "position_embeddings": "embedding.position_embeddings",
    "top_query_embeddings": "topQueryEmbedding.top_query_embeddings",
    "transformer": "transformer",
}

# The rows of these are [q; k; v] one below the other, not head by head.
MERGED = {"query_key_value": ("query", "key", "value"), "key_value": ("key", "value")}

# The axis on which tensor-parallel ranks split a tensor; the others are the same in every rank.
SPLIT_ON = {
    "word_embeddings.weight": 0,
    "top_query_embeddings.weight": 0,
    **{
        f"{module}.{kind}": 0
        for module in ("query", "key", "value", "dense_h_to_4h")
        for kind in ("weight", "bias")
    },
    "dense.weight": 1,
    "dense_4h_to_h.weight": 1,
}

MINDSPORE_ROOT = "backbone."
MINDSPORE_WHOLE = {
    "embedding.word_embedding.embedding_table": "embedding.word_embeddings.weight",
    "embedding.position_embedding.embedding_table": "embedding.position_embeddings.weight",
    "top_query_embedding.embedding_table": "topQueryEmbedding.top_query_embeddings.weight",
    "layernorm.gamma": "transformer.final_layernorm.weight",
    "layernorm.beta": "transformer.final_layernorm.bias",
}
MINDSPORE_MODULES = {
    "layernorm1": "input_layernorm",
    "layernorm2": "post_attention_layernorm",
    "attention.dense1": "attention.query",
    "attention.dense2": "attention.key",
    "attention.dense3": "attention.value",
    "attention.projection": "attention.dense",
    "output.mapping": "mlp.dense_h_to_4h",
    "output.projection": "mlp.dense_4h_to_h",
}
MINDSPORE_TRANSPOSED = ("attention.projection", "output.mapping", "output.projection")
MINDSPORE_KINDS = {"gamma": "weight", "beta": "bias"}
MINDSPORE_BLOCK = re.compile(r"(?:blocks\.(\d+)|top_query_layer)\.(.+)\.(\w+)")


def published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a PyTorch checkpoint by our names; merged matrices come apart."""
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for ours, part in _apart(_placed(name), tensor).items():
            if ours in named:
                raise ConversionError(f"The checkpoint holds {ours} twice.")
            named[ours] = part
    return named


def mindspore(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """One MindSpore tensor by our name, as [out, in]; unknown names stay as they are."""
    inside = name.removeprefix(MINDSPORE_ROOT)
    if inside in MINDSPORE_WHOLE:
        return MINDSPORE_WHOLE[inside], tensor
    match = MINDSPORE_BLOCK.fullmatch(inside)
    if match is None or match[2] not in MINDSPORE_MODULES:
        return name, tensor
    block = "topQueryLayer" if match[1] is None else f"layers.{int(match[1])}"
    kind = MINDSPORE_KINDS.get(match[3], match[3])
    if match[2] in MINDSPORE_TRANSPOSED and tensor.dim() == 2:
        tensor = tensor.t()
    return f"transformer.{block}.{MINDSPORE_MODULES[match[2]]}.{kind}", tensor


def split_axis(name: str) -> int | None:
    """The axis ranks split it on, None when each rank holds the whole."""
    return SPLIT_ON.get(".".join(name.split(".")[-2:]))


def _placed(name: str) -> str:
    match = PART.search(name)
    return name if match is None else f"{PLACES[match[1]]}.{name[match.end() :]}"


def _apart(name: str, tensor: Tensor) -> dict[str, Tensor]:
    module, _, kind = name.rpartition(".")
    attention, _, merged = module.rpartition(".")
    if merged not in MERGED or tensor.dim() == 0:
        return {name: tensor}
    parts = MERGED[merged]
    pieces = tensor.tensor_split(len(parts))
    return {f"{attention}.{part}.{kind}": piece for part, piece in zip(parts, pieces, strict=True)}
