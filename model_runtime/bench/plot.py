"""The figures as a picture: a row of bars a network, beside what the memory would allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from model_runtime.bench.speed import Machine, Speed

OURS = ("#9ecae1", "#4292c6", "#084594")
PEERS = ("#d9d9d9", "#b0b0b0", "#7f7f7f")
LIMIT, INK = "#d94801", "#333333"


def draw(path: Path, machine: Machine, speeds: Sequence[Speed]) -> None:
    """A PNG of milliseconds a token. Raises OSError."""
    matplotlib.rcParams.update({"font.size": 10, "text.color": INK, "axes.labelcolor": INK})
    figure = Figure(figsize=(9, 1.6 + 0.85 * len(speeds)), dpi=160, layout="constrained")
    axes = figure.subplots()
    contexts = speeds[0].contexts
    height = 0.78 / len(contexts)
    longest = max(max(speed.decode) for speed in speeds)
    for place, speed in enumerate(speeds):
        is_peer = speed.prefill is None or speed.name.startswith("transformers")
        shades = PEERS if is_peer else OURS
        for number, (context, ms) in enumerate(zip(contexts, speed.decode, strict=True)):
            at = place + (number - (len(contexts) - 1) / 2) * height
            axes.barh(at, ms, height * 0.92, color=shades[number % len(shades)])
            axes.text(
                ms + longest * 0.008, at, f"{ms:,.1f} ms at {context}", va="center", fontsize=8
            )
        limit = speed.read / machine.copied_per_s * 1000
        axes.plot([limit, limit], [place - 0.43, place + 0.43], color=LIMIT, linewidth=2)
    axes.set_yticks(range(len(speeds)), [speed.name for speed in speeds])
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.17)
    axes.set_xlabel("milliseconds a token, by tokens of context")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(visible=True, color="#e8e8e8")
    axes.set_axisbelow(True)
    axes.plot([], [], color=LIMIT, linewidth=2, label="reading the weights at the speed of copying")
    figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    title = f"{machine.model}: {machine.blocks} blocks of {machine.hidden}"
    axes.set_title(title, loc="left", fontweight="bold", fontsize=12, pad=20)
    where = f"{machine.name}, {machine.device.split(':')[0]}"
    speed_of = f"copying moves {machine.copied_per_s / 1e9:,.1f} GB/s"
    axes.text(
        0,
        1.02,
        f"{where}; {speed_of}; {machine.date}",
        transform=axes.transAxes,
        fontsize=9,
        color="#666666",
    )
    figure.savefig(path)
