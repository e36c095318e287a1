"""Decode steps recorded once and replayed: a CUDA graph launches a step's kernels in one go.

A decode step of CodeGeeX-13B is some six hundred small kernels, and launching them one by one from
Python takes longer than running them. A recorded step reads and writes the same addresses for ever.
So there is one recording for each set of neighbouring rows (or each number of scattered ones) and
each length of context, made when it is first needed, and the inputs are copied to where it reads
them. What records is given from outside: it knows tensors and one network, neither CUDA nor text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from model_runtime.logs import LOG
from model_runtime.networks.kv_cache import Rows
from model_runtime.networks.network import Network

Step = Callable[[], Tensor]
Capture = Callable[[Step], Step]

# Attention reads this many positions, whatever stands in them: at most twice as many as needed.
LENGTHS = (128, 256, 512, 1024, 2048)
# Scattered rows are filled up to one of these with copies of the last row.
BATCHES = (2, 4, 8, 16)


class CudaCapture:
    """Records on the current device; all recordings share one pool of memory."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        """`step` as a replay that gives the same tensor each time. Runs it once, unrecorded."""
        # Kernels are compiled and libraries set up in a first run, which can't be recorded.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # An embedding that another thread runs meanwhile is no part of what is recorded.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = step()

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay


class DecodeGraphs:
    """`capture` makes a replay of a step; where it fails, steps run unrecorded from then on."""

    def __init__(self, network: Network, capture: Capture) -> None:
        self._network = network
        self._capture: Capture | None = capture
        self._recorded: dict[tuple[int, ...], tuple[Tensor, Step]] = {}

    def step(self, ids: Sequence[int], positions: Sequence[int], rows: Rows) -> Tensor:
        """One token a row, each at its own position: float32 logits [B, V], the caller's to keep.

        `rows` are B, as for CodeGeeX.step().
        """
        visible = length_for(max(positions) + 1, rows.context)
        count = len(ids)
        if rows.index is None:
            numbers, size = list(range(count)), count
        else:
            numbers, size = rows.index.tolist(), batch_for(count)
        inputs = torch.tensor(
            [_filled(ids, size), _filled(positions, size), _filled(numbers, size)]
        )
        if self._capture is None:
            return self._run(inputs.to(rows.keys[0].device), rows, visible)[:count]
        key = (rows.keys[0].data_ptr(), int(rows.index is None), size, visible)
        if key not in self._recorded:
            buffer = inputs.to(rows.keys[0].device)
            try:
                replay = self._capture(lambda: self._run(buffer, rows, visible))
            except RuntimeError as error:  # CUDA's are
                LOG.warning("decode steps aren't recorded: it fails with %s", type(error).__name__)
                self._capture = None
                self.clear()
                return self._run(buffer, rows, visible)[:count]
            self._recorded[key] = buffer, replay
        buffer, replay = self._recorded[key]
        buffer.copy_(inputs)
        # Another recording may use the same memory.
        return replay()[:count].clone()

    def clear(self) -> None:
        """Forget all recordings: the KV cache they read is about to go."""
        self._recorded.clear()

    def _run(self, inputs: Tensor, rows: Rows, visible: int) -> Tensor:
        ids, positions, numbers = inputs.unbind(0)
        if rows.index is not None:
            rows = replace(rows, index=numbers, runs=())
        return self._network.step(ids, positions, rows, visible)


def length_for(needed: int, context: int) -> int:
    """The smallest of LENGTHS with `needed` positions, or all of the context."""
    fitting = [length for length in LENGTHS if needed <= length < context]
    return fitting[0] if fitting else context


def batch_for(count: int) -> int:
    """The smallest of BATCHES with `count` rows, or just as many."""
    return next((size for size in BATCHES if count <= size), count)


def _filled(values: Sequence[int], size: int) -> list[int]:
    """`size` values: a row that comes twice writes the same keys and values twice."""
    return [*values, *[values[-1]] * (size - len(values))]
