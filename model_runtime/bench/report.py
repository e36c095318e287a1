"""The figures as lines to print, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from model_runtime.bench.speed import CANDIDATES, PREFILL, Machine, Speed

NAME = 29


def heading(machine: Machine, contexts: Sequence[int]) -> Iterator[str]:
    yield f"{machine.date}, {machine.name}, {machine.device}, torch {machine.torch}"
    yield (
        f"{machine.model}: {machine.blocks} blocks of {machine.hidden}; "
        f"copying moves {machine.copied_per_s / 1e9:.1f} GB/s"
    )
    at = " ".join(f"{f'at {context}':>8}" for context in contexts)
    yield (
        f"{'ms a token':<{NAME}} {at} {'of copying':>10} {f'prefill {PREFILL}':>12} "
        f"{f'{CANDIDATES} at once':>10} {'peak':>9} {'of weights':>10}"
    )


def line(speed: Speed, machine: Machine) -> str:
    """ "of copying" is how much of the bandwidth of copying the first decode's reading of the
    weights comes to; reading alone may go faster than copying, so it can pass 100 %. "8 at once" is
    a step of 8 candidates against one of 1, "of weights" the peak against weights and KV cache.
    """
    decode = " ".join(f"{ms:>8.1f}" for ms in speed.decode)
    share = f"{speed.share(machine.copied_per_s):.0%}"
    prefill = "" if speed.prefill is None else f"{speed.prefill:.0f}"
    several = "" if speed.several is None else f"{speed.several / speed.decode[0]:.2f}x"
    peak = "" if speed.peak is None else f"{speed.peak / 1e9:.2f} GB"
    over = "" if speed.over is None else f"{speed.over:.0%}"
    return (
        f"{speed.name:<{NAME}} {decode} {share:>10} {prefill:>12} {several:>10} "
        f"{peak:>9} {over:>10}"
    ).rstrip()


def ending(speeds: Sequence[Speed]) -> Iterator[str]:
    for speed in speeds:
        if speed.cancel is not None:
            steps = "1 step" if speed.cancel.steps == 1 else f"{speed.cancel.steps} steps"
            yield f"A cancelled {speed.name} request ran {steps} more, {speed.cancel.ms:.1f} ms."


def write_json(path: Path, machine: Machine, speeds: Sequence[Speed]) -> None:
    """Raises OSError."""
    figures = [
        {**asdict(speed), "of_copying": speed.share(machine.copied_per_s)} for speed in speeds
    ]
    text = json.dumps({"machine": asdict(machine), "speeds": figures}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
