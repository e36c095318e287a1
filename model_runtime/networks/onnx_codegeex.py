"""The CodeGeeX network in INT8 on a CPU, by onnxruntime: what small models are served with.

In a network of some million weights torch spends its time between the operators and reads four
bytes a weight. Called as codegeex.py's network is, by the engine's thread, with rows of a KV cache
in float32 on the CPU. It knows no files; assembly.py makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from model_runtime.errors import BadPromptError
from model_runtime.networks import onnx_graph
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.kv_cache import Rows
from model_runtime.networks.onnx_graph import Matrices, Vectors
from model_runtime.networks.quantization import dequantize_int8

# In a smaller network a product is over before another thread has begun.
FEWEST_FOR_THREADS = 16_000_000
# A step of a token and its draft; to bind the tensors anew takes as long as half of it.
LONGEST_KEPT = 8


class OnnxCodeGeeX:
    """`matrices` and `vectors` are all of the network's, by its names. Raises KeyError."""

    recordable = False

    def __init__(self, config: CodeGeeXConfig, matrices: Matrices, vectors: Vectors) -> None:
        self.config = config
        self._words = matrices["embedding.word_embeddings.weight"]
        self._positions = _table(matrices, "embedding.position_embeddings.weight")
        self._queries = _table(matrices, "topQueryEmbedding.top_query_embeddings.weight")
        self._session = _session(onnx_graph.build(config, matrices, vectors), config)
        self._kept: WeakKeyDictionary[Rows, dict[tuple[int, ...], _Run]] = WeakKeyDictionary()

    def __call__(
        self, ids: Tensor, rows: Rows, start: int, *, all_positions: bool = False
    ) -> Tensor:
        """As CodeGeeX.forward, a row after the other."""
        end = start + ids.shape[1]
        limit = min(self.config.max_position_embeddings, rows.context)
        if end > limit:
            raise BadPromptError(
                f"The prompt and its continuation need {end} positions, and the model has {limit}."
            )
        logits = torch.stack(
            [self._logits(one, rows, row, start, all_positions) for row, one in enumerate(ids)]
        )
        return logits if all_positions else logits[:, -1]

    def step(self, ids: Tensor, positions: Tensor, rows: Rows, visible: int) -> Tensor:
        """As CodeGeeX.step, a row after the other."""
        numbers: Iterable[int] = range(len(ids)) if rows.index is None else rows.index.tolist()
        places = zip(ids.unsqueeze(1), numbers, positions.tolist(), strict=True)
        return torch.cat([self._logits(one, rows, row, at, False) for one, row, at in places])

    def _logits(self, ids: Tensor, rows: Rows, row: int, start: int, all_positions: bool) -> Tensor:
        """Ids [T] at `start` of one row: the logits [T, V], or those of the last one [1, V]."""
        length = len(ids)
        run = self._run(rows, row, length, length if all_positions else 1, start + 1 < rows.context)
        at = slice(start, start + length)
        words = dequantize_int8(self._words.codes[ids], self._words.scale[ids])
        return run(words + self._positions[at], self._queries[at], start)

    def _run(self, rows: Rows, row: int, length: int, wanted: int, twice: bool) -> _Run:
        if length > LONGEST_KEPT:
            return _Run(self._session, self.config, rows, row, length, wanted, twice)
        kept = self._kept.setdefault(rows, {})
        key = row, length, wanted, twice
        if key not in kept:
            kept[key] = _Run(self._session, self.config, rows, row, length, wanted, twice)
        return kept[key]


class _Run:
    """The session bound to one row, to tensors for `length` positions, and to the logits of the
    last `wanted`.

    Attention multiplies a single position by another way than several, and rounding to INT8 makes a
    visible difference of it. So it gets the position `twice`: then text comes out the same to the
    last bit however it is cut into chunks, drafts and steps. The second one's keys and values are
    overwritten by whatever comes there; only the row's last position has no room for it.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        config: CodeGeeXConfig,
        rows: Rows,
        row: int,
        length: int,
        wanted: int,
        twice: bool,
    ) -> None:
        places = torch.arange(length)
        attending = torch.zeros(2, dtype=torch.long) if twice and length == 1 else places
        self._states = torch.empty(1, length, config.hidden_size)
        self._queries = torch.empty(1, length, config.hidden_size)
        self._logits = torch.empty(1, wanted, config.vocab_size)
        self._attending = len(attending)
        self._past = torch.empty(1, dtype=torch.int32)
        self._total = torch.empty(1, dtype=torch.int32)
        cached = {
            f"{kind}.{layer}": storage[row : row + 1]
            for kind, layers in zip(onnx_graph.KINDS, (rows.keys, rows.values), strict=True)
            for layer, storage in enumerate(layers)
        }
        # Held here as long as onnxruntime may read and write them.
        self._inputs = {
            "x": self._states,
            "queries": self._queries,
            "attending": attending,
            "kept": places,
            "wanted": places[length - wanted :],
            "past": self._past,
            "total": self._total,
            **cached,
        }
        self._session = session
        self._binding = session.io_binding()
        for name, tensor in self._inputs.items():
            self._binding.bind_input(name, *_described(tensor))
        self._binding.bind_output("logits", *_described(self._logits))
        for name, tensor in cached.items():
            self._binding.bind_output(f"new.{name}", *_described(tensor))

    def __call__(self, states: Tensor, queries: Tensor, start: int) -> Tensor:
        """The logits [W, V] behind embedded positions [T, H] and their top queries [T, H]."""
        self._states.copy_(states)
        self._queries.copy_(queries)
        end = start + self._attending
        self._past.fill_(end - 1)
        self._total.fill_(end)
        self._session.run_with_iobinding(self._binding)
        return self._logits[0].clone()


def _described(tensor: Tensor) -> tuple[str, int, object, tuple[int, ...], int]:
    """What onnxruntime binds: it reads and writes the tensor itself."""
    return "cpu", 0, _TYPES[tensor.dtype], tuple(tensor.shape), tensor.data_ptr()


_TYPES = {torch.float32: np.float32, torch.int64: np.int64, torch.int32: np.int32}


def _table(matrices: Matrices, name: str) -> Tensor:
    return matrices[name].dequantized().float()


def _session(model: bytes, config: CodeGeeXConfig) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    enough = config.linear_parameters >= FEWEST_FOR_THREADS
    options.intra_op_num_threads = torch.get_num_threads() if enough else 1
    # Threads that wait in a loop would keep the editor's core busy between two keystrokes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # It keeps the whole model, to begin anew with another provider; there is no other.
    session._model_bytes = b""
    return session
