"""Recorded decode steps, with a recorder for the CPU: it runs the same step on the same buffers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import pytest
import tiny
import torch
from torch import Tensor

from model_runtime.networks.graphs import DecodeGraphs, Step, batch_for, length_for
from model_runtime.networks.kv_cache import KVCache

CONTEXT = 256
PROMPTS = [list(range(5, 5 + length)) for length in (20, 130, 7, 60, 61)]


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


class Recorder:
    """Counts what a CUDA graph would cost; a replay reads its inputs where they were recorded."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0
        self.output = torch.empty(0)

    def __call__(self, step: Step) -> Step:
        self.captured += 1
        step()

        def replay() -> Tensor:
            self.replayed += 1
            # All recordings share one memory: what an earlier one gave is gone.
            self.output.fill_(torch.nan)
            self.output = step()
            return self.output

        return replay


def refuses(step: Step) -> Step:
    raise RuntimeError("operation not permitted when stream is capturing")


class Decoding:
    """Five slots, each behind its own prompt, decoded with recordings or without."""

    def __init__(self) -> None:
        shape = tiny.config(CONTEXT)
        self.network = tiny.network(shape)
        self.cache = KVCache(
            layers=shape.num_layers + 1,
            heads=shape.num_attention_heads,
            head_dim=shape.head_dim,
            context=CONTEXT,
            slots=len(PROMPTS),
            branches=0,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
        for number, prompt in enumerate(PROMPTS):
            self.network(torch.tensor([prompt]), self.cache.rows([number]), 0)
        self.recorder = Recorder()
        self.graphs = DecodeGraphs(self.network, self.recorder)

    def assert_as_without(self, numbers: Sequence[int], ids: Sequence[int]) -> None:
        """Recorded, a step gives what the network gives for each row alone."""
        positions = [len(PROMPTS[number]) for number in numbers]
        found = self.graphs.step(ids, positions, self.cache.rows(numbers))
        for row, (number, id_, at) in enumerate(zip(numbers, ids, positions, strict=True)):
            alone = self.network(torch.tensor([[id_]]), self.cache.rows([number]), at)
            torch.testing.assert_close(found[row : row + 1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "numbers", [[0], [1], [0, 1], [1, 2, 3], [0, 2], [2, 0], [4, 0, 2], [0, 1, 3, 4, 2]]
)
def test_a_recorded_step_is_the_networks(numbers: list[int]) -> None:
    decoding = Decoding()
    decoding.assert_as_without(numbers, [40 + number for number in numbers])
    decoding.assert_as_without(numbers, [90 - number for number in numbers])
    assert (decoding.recorder.captured, decoding.recorder.replayed) == (1, 2)


def test_scattered_rows_share_a_recording_of_their_number() -> None:
    """Three rows are filled up to four; which rows they are is an input."""
    decoding = Decoding()
    for numbers in ([0, 2, 3], [3, 0, 2], [2, 4, 3, 0], [0, 3, 2]):
        decoding.assert_as_without(numbers, [50] * len(numbers))
    assert decoding.recorder.captured == 1


def test_a_longer_context_is_another_recording() -> None:
    decoding = Decoding()
    decoding.assert_as_without([0], [50])
    decoding.assert_as_without([1], [50])
    decoding.assert_as_without([1, 2], [50, 51])
    assert decoding.recorder.captured == 3


def test_filling_up_leaves_the_other_rows_alone() -> None:
    decoding = Decoding()
    before = [keys.clone() for keys in decoding.cache.rows([3]).keys]
    decoding.assert_as_without([0, 2, 4], [50, 51, 52])
    after = decoding.cache.rows([3]).keys
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_logits_are_the_callers_to_keep() -> None:
    decoding = Decoding()
    rows = decoding.cache.rows([0])
    first = decoding.graphs.step([50], [20], rows)
    kept = first.clone()
    decoding.graphs.step([60], [21], rows)
    assert torch.equal(first, kept)


def test_where_recording_fails_steps_run_unrecorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("codegeex.runtime"), "propagate", True)
    decoding = Decoding()
    decoding.graphs = DecodeGraphs(decoding.network, refuses)
    for numbers in ([0], [0, 2], [1, 2, 3]):
        decoding.assert_as_without(numbers, [50] * len(numbers))
    # Once; another test's handler may be listening too.
    assert set(caplog.messages) == {"decode steps aren't recorded: it fails with RuntimeError"}


def test_after_clear_everything_is_recorded_anew() -> None:
    decoding = Decoding()
    decoding.assert_as_without([0], [50])
    decoding.graphs.clear()
    decoding.assert_as_without([0], [50])
    assert decoding.recorder.captured == 2


def test_lengths_and_batches() -> None:
    assert [length_for(needed, 2048) for needed in (1, 128, 129, 1025, 2048)] == [
        *(128, 128, 256, 2048, 2048)
    ]
    assert [length_for(needed, 300) for needed in (128, 129, 257, 300)] == [128, 256, 300, 300]
    assert [batch_for(count) for count in (2, 3, 8, 9, 17)] == [2, 4, 8, 16, 17]
