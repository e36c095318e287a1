"""The CodeGeeX network as an ONNX graph for one row, its matrices INT8.

Same network as codegeex.py, with the residual additions inside the norms and query, key and value
as one product. It knows names, shapes and numbers, neither files nor sessions; onnx_codegeex.py has
it built when a model is loaded, and says what goes in.

    x [1, T, H] -> blocks -> top query layer, asked with `queries` [1, T, H] -> logits [1, W, V]
    `attending` [A]: the positions of x that attention gets, `kept` [T] those of its that go on
    `wanted` [W]: those of x, and of attention's, whose logits are wanted
    `past` int32 [1]: A + the positions before them - 1, `total` int32 [1]: one more
    keys.L, values.L [1, heads, context, head_dim]: read, and written where A new ones belong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor

from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.quantization import Int8Matrix

# Activations are rounded in such blocks, so that one outlier costs 63 neighbours their precision.
# Blocks of 32 are a fifth slower; those of 128 give other bits for one position than for several.
BLOCK = 64
ZERO = 128
# Products of INT8 and INT8, summed in float32 over the blocks.
INT8_PRODUCTS = 4
# onnxruntime's own operators, in opset 1 of this domain.
DOMAIN = "com.microsoft"
OPSET, IR = 17, 10
KINDS = ("keys", "values")
INDEXES = ("attending", "kept", "wanted")

Matrices = Mapping[str, Int8Matrix]
Vectors = Mapping[str, Tensor]


def build(config: CodeGeeXConfig, matrices: Matrices, vectors: Vectors) -> bytes:
    """The serialized model; `matrices` and `vectors` have the network's names. Raises KeyError."""
    serialized: bytes = _Builder(config, matrices, vectors).model().SerializeToString()
    return serialized


class _Builder:
    """Names nodes after the modules of the network, and values after their nodes."""

    def __init__(self, config: CodeGeeXConfig, matrices: Matrices, vectors: Vectors) -> None:
        self._config = config
        self._matrices = matrices
        self._vectors = vectors
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def model(self) -> ModelProto:
        x, added = "x", ""
        for layer in range(self._config.num_layers):
            x, added = self._block(layer, x, added)
        normed, _ = self._norm("transformer.final_layernorm", x, added)
        last = self._top(normed)
        self._product("logits", last, self._matrices["embedding.word_embeddings.weight"])
        config = self._config
        keys = [1, config.num_attention_heads, None, config.head_dim]
        cached = [f"{kind}.{layer}" for layer in range(config.kv_layers) for kind in KINDS]
        states = [1, None, config.hidden_size]
        inputs = [
            *(_value(name, TensorProto.FLOAT, states) for name in ("x", "queries")),
            *(_value(n, TensorProto.INT64, [None]) for n in INDEXES),
            *(_value(name, TensorProto.INT32, [1]) for name in ("past", "total")),
            *(_value(name, TensorProto.FLOAT, keys) for name in cached),
        ]
        outputs = [
            _value("logits", TensorProto.FLOAT, [1, None, config.vocab_size]),
            *(_value(f"new.{name}", TensorProto.FLOAT, keys) for name in cached),
        ]
        graph = helper.make_graph(self._nodes, "codegeex", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR)

    def _block(self, layer: int, x: str, added: str) -> tuple[str, str]:
        """The residual stream and what is still to be added to it, from these."""
        name = f"transformer.layers.{layer}"
        states, x = self._norm(f"{name}.input_layernorm", x, added)
        packed = self._linear(f"{name}.attention", states, "query", "key", "value")
        mixed = self._attention(name, layer, self._gather(packed, "attending"))
        return self._rest(name, x, self._gather(mixed, "kept"))

    def _top(self, normed: str) -> str:
        """The top query layer, [1, W, H]. Positions that are not wanted have keys and values."""
        name, layer = "transformer.topQueryLayer", self._config.num_layers
        states, x = self._norm(f"{name}.input_layernorm", normed, "")
        asked = {"query": "queries", "key": states, "value": states}
        parts = [
            self._gather(self._linear(f"{name}.attention", asked[part], part), "attending")
            for part in asked
        ]
        mixed = self._attention(name, layer, *parts)
        x, added = self._rest(name, self._gather(x, "wanted"), self._gather(mixed, "wanted"))
        return self._node("Add", f"{name}.sum", [x, added])

    def _rest(self, name: str, x: str, mixed: str) -> tuple[str, str]:
        """A block after its attention."""
        dense = self._linear(f"{name}.attention", mixed, "dense")
        states, x = self._norm(f"{name}.post_attention_layernorm", x, dense)
        inner = self._linear(f"{name}.mlp", states, "dense_h_to_4h")
        inner = self._node("QuickGelu", f"{name}.gelu", [inner], domain=DOMAIN, alpha=1.702)
        return x, self._linear(f"{name}.mlp", inner, "dense_4h_to_h")

    def _attention(self, name: str, layer: int, query: str, key: str = "", value: str = "") -> str:
        heads = self._config.num_attention_heads
        cached = [f"{kind}.{layer}" for kind in KINDS]
        mixed = f"{name}.attention.mixed"
        self._nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [query, key, value, *cached, "past", "total"],
                [mixed, *(f"new.{name}" for name in cached)],
                domain=DOMAIN,
                num_heads=heads,
                kv_num_heads=heads,
            )
        )
        return mixed

    def _norm(self, name: str, x: str, added: str) -> tuple[str, str]:
        """The normed sum of both, and the sum."""
        weights = [self._vector(f"{name}.{part}") for part in ("weight", "bias")]
        epsilon = self._config.layernorm_epsilon
        if not added:
            normed = self._node("LayerNormalization", name, [x, *weights], axis=-1, epsilon=epsilon)
            return normed, x
        self._nodes.append(
            helper.make_node(
                "SkipLayerNormalization",
                [x, added, *weights],
                [name, "", "", f"{name}.sum"],
                domain=DOMAIN,
                epsilon=epsilon,
            )
        )
        return name, f"{name}.sum"

    def _linear(self, name: str, x: str, *parts: str) -> str:
        """One product for Linear layers that read the same."""
        matrices = [self._matrices[f"{name}.{part}.weight"] for part in parts]
        joined = Int8Matrix(
            torch.cat([matrix.codes for matrix in matrices]),
            torch.cat([matrix.scale for matrix in matrices]),
        )
        biases = torch.cat([self._vectors[f"{name}.{part}.bias"] for part in parts])
        return self._product(f"{name}.{'.'.join(parts)}", x, joined, biases)

    def _product(self, name: str, x: str, matrix: Int8Matrix, bias: Tensor | None = None) -> str:
        rows, columns = matrix.shape
        codes = F.pad(matrix.codes, (0, -columns % BLOCK)).view(rows, -1, BLOCK)
        scales = matrix.scale.float().unsqueeze(1).expand(-1, codes.shape[1])
        inputs = [
            x,
            self._constant(f"{name}.codes", (codes.to(torch.int16) + ZERO).to(torch.uint8)),
            self._constant(f"{name}.scales", scales),
        ]
        if bias is not None:
            inputs += ["", "", self._constant(f"{name}.bias", bias.float())]
        return self._node(
            "MatMulNBits",
            name,
            inputs,
            domain=DOMAIN,
            K=columns,
            N=rows,
            bits=8,
            block_size=BLOCK,
            accuracy_level=INT8_PRODUCTS,
        )

    def _gather(self, values: str, positions: str) -> str:
        return self._node("Gather", f"{values}.{positions}", [values, positions], axis=1)

    def _vector(self, name: str) -> str:
        return self._constant(name, self._vectors[name].float())

    def _constant(self, name: str, values: Tensor) -> str:
        self._constants.append(numpy_helper.from_array(values.contiguous().numpy(), name))
        return name

    def _node(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name


def _value(name: str, kind: int, shape: Sequence[int | None]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
