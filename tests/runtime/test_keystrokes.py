"""How many tokens the engine runs for one more character, counted by the engine itself."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import tiny_hub
import torch
from engine_bench import DEVICE, Bench

from model_runtime.folders import opening
from model_runtime.prompts.fim import MOST_BEHIND, TEMPLATES, controls

LONG_FILE = Path(argparse.__file__).read_text(encoding="utf-8")
CONTEXT = 4096
# Those that were trained with the suffix behind the prefix alone.
PREFIX_FIRST = {"qwen-coder", "deepseek-coder", "codegemma", "fim"}


def bench_of(tmp_path: Path, format: str) -> Bench:
    """An engine on a model of that family, a token a byte."""
    names = controls(format)
    if format == "granite-code":
        names = (*names, "<gh_stars>")  # by which it is known
    tokenizer = tiny_hub.tokenizer_json(names)
    folder = tiny_hub.write_folder(
        tmp_path / "m", "llama", tokenizer=tokenizer, max_position_embeddings=CONTEXT
    )
    bench = Bench(tmp_path, opening.load(str(folder), DEVICE.place, DEVICE.dtype))
    bench.engine.pace.tokens = CONTEXT
    (x,) = bench.engine.model.tokenizer.encode("x")

    def say(logits: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(logits, -1e9)
        forced[..., x] = 0
        return forced

    bench.steps.change = say
    return bench


def ran(bench: Bench, prefix: str, suffix: str) -> int:
    timing = bench.ask(prefix, suffix=suffix, max_new_tokens=4).timing
    return timing.prompt_tokens - timing.cached_tokens


@pytest.mark.parametrize("format", [name for name in TEMPLATES if name != "tekken"])
def test_a_character_is_read_alone_or_with_few_lines(tmp_path: Path, format: str) -> None:
    bench = bench_of(tmp_path, format)
    before, typed, behind = LONG_FILE[:2000], LONG_FILE[2000:2012], LONG_FILE[2012:8000]
    assert ran(bench, before, behind) > 2000
    counts = [ran(bench, before + typed[:n], behind) for n in range(1, len(typed) + 1)]
    assert max(counts) <= (MOST_BEHIND + 4 if format in PREFIX_FIRST else 4)


@pytest.mark.parametrize("format", sorted(PREFIX_FIRST))
def test_a_line_further_down_the_prefix_is_still_there(tmp_path: Path, format: str) -> None:
    """The suffix is shorter by a line, which moves no cut of the prefix."""
    bench = bench_of(tmp_path, format)
    lines = LONG_FILE[:9000].splitlines(keepends=True)
    here = len(lines) - 8
    ran(bench, "".join(lines[:here]), "".join(lines[here:]))
    counts = [
        ran(bench, "".join(lines[: here + n]), "".join(lines[here + n :])) for n in range(1, 8)
    ]
    assert sorted(counts)[-2] <= MOST_BEHIND + 100, "at most one of these lines moves the cut"
