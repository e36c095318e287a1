"""The language server without a model: start, round trip and text sync beside a bare pygls server.

The model's place is taken by the tests' fake runtime, which answers at once; what is measured is
the whole way editor, server, socket and back.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from fake_runtime import FakeRuntime
from wire import Wire, at, change_at

from benchmarks.table import percentiles, quantile, ratio, row, title

STARTS = 7
REQUESTS = 1000
EDITS = 500
LINES = 10_000
BARE = (sys.executable, "-m", "benchmarks.bare_pygls")
URI = "file:///bench/file.py"
INLINE = "textDocument/inlineCompletion"


def measure() -> None:
    fake = FakeRuntime().start()
    try:
        _start()
        _round_trips()
        _text_sync()
    finally:
        fake.stop()


@contextmanager
def server(command: tuple[str, ...] | None) -> Iterator[Wire]:
    environment = {"CODEGEEX_MODEL": "fake", "CODEGEEX_DEVICE": "cpu"}
    with Wire(command, env=environment) as wire:
        yield wire


def ask(wire: Wire, line: int, column: int, kind: int = 2) -> dict[str, object]:
    result: dict[str, object] = wire.call(
        INLINE,
        {
            "textDocument": {"uri": URI},
            "position": at(line, column),
            "context": {"triggerKind": kind},
        },
    )
    return result


def _start() -> None:
    title("Start to initialize reply, median of 7", "CPU", "wall", "resident")
    ours, theirs = [], []
    for _ in range(STARTS):
        theirs.append(_one_start(BARE))
        ours.append(_one_start(None))
    for name, runs in (("bare pygls", theirs), ("codegeex-lsp", ours)):
        cpu, wall, memory = (quantile([run[i] for run in runs], 0.5) for i in range(3))
        row(name, f"{cpu:.2f} s", f"{wall:.2f} s", f"{memory / 2**20:.0f} MiB")
    middle = [quantile([run[0] for run in runs], 0.5) for runs in (ours, theirs)]
    row("ratio", ratio(*middle), "", "")


def _one_start(command: tuple[str, ...] | None) -> tuple[float, float, float]:
    begin = time.perf_counter()
    with server(command) as wire:
        wire.initialize()
        wall = time.perf_counter() - begin
        process = psutil.Process(wire.process.pid)
        times = process.cpu_times()
        return times.user + times.system, wall, process.memory_info().rss


def _round_trips() -> None:
    title(f"Inline completion without a model, {REQUESTS} requests", "p50 / p95")
    text = "".join(f"value_{line} = \n" for line in range(REQUESTS))
    with server(BARE) as wire:
        wire.initialize()
        wire.open(URI, text)
        theirs = _timed(wire, [(line, len(f"value_{line} = ")) for line in range(REQUESTS)])
    with server(None) as wire:
        wire.initialize()
        wire.open(URI, text)
        wire.wait_notification("codegeex/status", lambda params: params["phase"] == "ready")
        places = [(line, len(f"value_{line} = ")) for line in range(REQUESTS)]
        asked = _timed(wire, places)
        cached = _timed(wire, places[-50:] * (REQUESTS // 50))
    row("bare pygls, a constant", percentiles(theirs))
    row("codegeex-lsp, through a runtime that answers at once", percentiles(asked))
    row("codegeex-lsp, from its cache", percentiles(cached))
    row("ratio of the last to bare pygls, p50", ratio(quantile(cached, 0.5), quantile(theirs, 0.5)))


def _timed(wire: Wire, places: list[tuple[int, int]]) -> list[float]:
    seconds = []
    for line, column in places:
        begin = time.perf_counter()
        ask(wire, line, column)
        seconds.append(time.perf_counter() - begin)
    return seconds


def _text_sync() -> None:
    title(f"One typed character, CPU of the server, {EDITS} of them", "10,000 lines", "1 MB line")
    lines = "".join(f"    value_{line} = compute(argument_{line})\n" for line in range(LINES))
    long_line = "x = '" + "wide ä " * 150_000 + "'"
    costs = {}
    for name, command in (("bare pygls", BARE), ("codegeex-lsp", None)):
        many = _edit_cost(command, lines, LINES // 2, EDITS)
        # pygls takes most of a second for one of these.
        one = _edit_cost(command, long_line, 0, 5 if command else EDITS, column=900_000)
        costs[name] = many, one
        row(name, f"{many * 1000:.2f} ms", f"{one * 1000:.2f} ms")
    row("ratio", *(ratio(*pair) for pair in zip(*reversed(costs.values()), strict=True)))


def _edit_cost(
    command: tuple[str, ...] | None, text: str, line: int, edits: int, column: int = 4
) -> float:
    """CPU seconds an edit, the JSON of it included."""
    with server(command) as wire:
        wire.initialize()
        wire.open(URI, text)
        ask(wire, 0, 0)
        process = psutil.Process(wire.process.pid)
        before = process.cpu_times()
        for edit in range(edits):
            wire.change(URI, edit + 2, change_at((line, column), (line, column), "y"))
        ask(wire, 0, 0)
        after = process.cpu_times()
        return (after.user + after.system - before.user - before.system) / edits


os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
