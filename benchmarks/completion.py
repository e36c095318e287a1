"""Completions of the embedded model through the real server and the real runtime.

The texts are this project's own sources. A cold request comes to a place the runtime has not seen,
a warm one after one more typed character, a cached one to the same place again; these are automatic
ones, for one line, without the pause for the next keystroke. An invoked one wants three candidates
of up to eight lines.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from wire import Wire, at, change_at

from benchmarks.table import percentiles, row, title

ROOT = Path(__file__).resolve().parents[1]
PLACES = 60
INLINE = "textDocument/inlineCompletion"
INVOKED, AUTOMATIC = 1, 2


def measure() -> None:
    title(f"Completion by codegeex-nano, {PLACES} places", "p50 / p95")
    with Wire() as wire:
        wire.initialize(options={"completion": {"pause": "off"}})
        wire.wait_notification("codegeex/status", lambda params: params["phase"] == "ready")
        cold, warm, cached, invoked, sources = _complete(wire)
        row("cold: a new place", percentiles(cold))
        row("warm: one more character", percentiles(warm))
        row("cached: the same place again", percentiles(cached))
        row("invoked at that place", percentiles(invoked))
        row("what came cold", ", ".join(f"{count} {what}" for what, count in sources.items()))
        _memory(wire)


def _complete(
    wire: Wire,
) -> tuple[list[float], list[float], list[float], list[float], Counter[str]]:
    chosen = random.Random(7)
    cold, warm, cached, invoked = [], [], [], []
    sources: Counter[str] = Counter()
    for number, (text, line, column) in enumerate(_places(chosen)):
        uri = f"file:///bench/{number}.py"
        begin = text.splitlines(keepends=True)
        wire.open(uri, "".join([*begin[:line], begin[line][:column], "\n", *begin[line + 1 :]]))
        cold.append(_ask(wire, uri, line, column))
        sources[_source(wire, uri)] += 1
        typed = begin[line][column : column + 1]
        wire.change(uri, 2, change_at((line, column), (line, column), typed))
        warm.append(_ask(wire, uri, line, column + 1))
        cached.append(_ask(wire, uri, line, column + 1))
        invoked.append(_ask(wire, uri, line, column + 1, INVOKED))
    return cold, warm, cached, invoked, sources


def _places(chosen: random.Random) -> list[tuple[str, int, int]]:
    """Cursors in the middle of lines; the rest of the line is taken away."""
    files = sorted((ROOT / "codegeex_lsp").rglob("*.py"))
    places = []
    while len(places) < PLACES:
        text = chosen.choice(files).read_text(encoding="utf-8")
        lines = text.splitlines()
        line = chosen.randrange(len(lines)) if lines else 0
        if lines and len(lines[line].strip()) > 12:
            places.append((text, line, chosen.randrange(len(lines[line]) - 8, len(lines[line]))))
    return places


def _ask(wire: Wire, uri: str, line: int, column: int, kind: int = AUTOMATIC) -> float:
    begin = time.perf_counter()
    params = {"textDocument": {"uri": uri}, "position": at(line, column)}
    wire.call(INLINE, {**params, "context": {"triggerKind": kind}})
    return time.perf_counter() - begin


def _source(wire: Wire, uri: str) -> str:
    told = wire.call("codegeex/why", {"textDocument": {"uri": uri}})
    return str(told["sources"][0] if told.get("sources") else told["reason"])


def _memory(wire: Wire) -> None:
    command = [sys.executable, "-m", "codegeex_lsp", "status", "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    server = psutil.Process(wire.process.pid).memory_info().rss
    title("Resident memory", "MiB")
    row("codegeex-lsp", f"{server / 2**20:.0f}")
    row("codegeex-runtime", f"{report['memory_bytes'] / 2**20:.0f}")
