"""`codegeex-runtime bench` itself: what can fail is tried before anything is measured."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from model_runtime import installing
from model_runtime.bench import measuring, report
from model_runtime.bench.random_model import sized
from model_runtime.bench.speed import Machine, Speed, contexts_of
from model_runtime.device.choice import choose

Figures = tuple[Machine, list[Speed]]


def run(model: str, device: str, json: Path | None, plot: Path | None) -> Figures:
    """Measure and print; each line appears as soon as it is measured.

    Raises ValueError for a file that can't be written, or a picture without matplotlib, and what
    choose() and sized() raise.
    """
    for file in (json, plot):
        _check_writable(file)
    if plot is not None:
        if plot.suffix != ".png":
            raise ValueError(f"{plot} is no PNG file; name one, as in figures.png.")
        if importlib.util.find_spec("matplotlib") is None:
            raise ValueError(f"A picture needs matplotlib; run: {installing.part('bench')}")
    chosen = choose(device)
    config = sized(model, chosen)
    machine = measuring.machine(model, config, chosen)
    for line in report.heading(machine, contexts_of(config)):
        print(line, flush=True)
    speeds = []
    for speed in measuring.measure(config, chosen):
        speeds.append(speed)
        print(report.line(speed, machine), flush=True)
    for line in report.ending(speeds):
        print(line)
    if json is not None:
        report.write_json(json, machine, speeds)
    if plot is not None:
        from model_runtime.bench.plot import draw

        draw(plot, machine, speeds)
    return machine, speeds


def _check_writable(file: Path | None) -> None:
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise ValueError(f"{file} can't be written; name a file in a folder that exists.")
