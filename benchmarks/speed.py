"""How fast completions come: `scripts/bench speed [FOLDER] [--places 30] [--json FILE]`.

In one process: the engine on real files (FOLDER's, else the project's own) with and without drafts,
and its network by turns with a GPT-2 of the same dimensions and random weights by transformers'
generate() and, where it is installed, by llama.cpp (llama_cpp_peer.py). Milliseconds are of the
processor, not of the clock on the wall: on a machine that does other things as well these are the
ones that can be compared.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks import speed_peers
from benchmarks.drafting import Engine, Place, Ways, compare, places
from benchmarks.table import quantile, row, title
from model_runtime.engine.counters import Spent

ROOT = Path(__file__).resolve().parents[1]
PROMPT, NEW = 400, 64
LINE, BLOCK = (32, 1), (64, 0)


def measure(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    engine = Engine(options.model)
    cursors = places(options.folder, options.places, options.seed)
    figures: dict[str, object] = {"threads": torch.get_num_threads(), "places": len(cursors)}

    title(f"One line at {len(cursors)} places, ms of the processor", "p50", "p95")
    for name, milliseconds in _completions(engine, cursors).items():
        figures[name] = p50, p95 = quantile(milliseconds, 0.5), quantile(milliseconds, 0.95)
        row(name, f"{p50:.0f}", f"{p95:.0f}")

    title("Tokens a second of the processor", "drafts", "none", "gain", "right", "different texts")
    for name, (tokens, lines) in {"one line": LINE, f"{BLOCK[0]} tokens": BLOCK}.items():
        ways = compare(engine, cursors, tokens, lines)
        figures[name] = _speeds(ways)
        row(name, *_cells(ways))

    for size, network in _networks(engine):
        title(f"{size} alone: {PROMPT} tokens of prompt, {NEW} new", "prefill ms", "tokens/s")
        for name, (prefill, rate) in speed_peers.measure(network, PROMPT, NEW).items():
            figures[f"{size}: {name}"] = {"prefill_ms": prefill, "tokens_per_s": rate}
            row(name, f"{prefill:.0f}", f"{rate:.0f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench speed")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT, metavar="FOLDER")
    parser.add_argument("--places", type=int, default=30, help="one in each of so many files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="codegeex-nano")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"There is no folder {options.folder}; name one with source files.")
    return options


def _completions(engine: Engine, cursors: Sequence[Place]) -> dict[str, list[float]]:
    """Cold at a place the engine has not seen; warm at the same place with its prompt cached."""
    cold, warm = [], []
    for number, place in enumerate(cursors):
        for taken in (cold, warm):
            _, spent = engine.ask(place.request(number + 1, *LINE), drafting=True)
            taken.append((spent.prefill_s + spent.decode_s) * 1000)
    return {"cold": cold, "warm": warm}


def _networks(engine: Engine) -> Iterator[tuple[str, object]]:
    yield "The network", engine.engine.model.network
    yield "38 million random parameters", speed_peers.larger_network()


def _rate(spent: Spent) -> float:
    return spent.generated_tokens / spent.decode_s if spent.decode_s else 0.0


def _speeds(ways: Ways) -> dict[str, float]:
    return {
        "with_drafts": _rate(ways.with_drafts),
        "without": _rate(ways.without),
        "proposed": ways.with_drafts.drafted_tokens,
        "accepted": ways.with_drafts.accepted_tokens,
        "different": ways.different,
    }


def _cells(ways: Ways) -> list[str]:
    with_drafts, without = _rate(ways.with_drafts), _rate(ways.without)
    right = (
        f"{100 * ways.with_drafts.accepted_tokens / ways.with_drafts.drafted_tokens:.0f} %"
        if ways.with_drafts.drafted_tokens
        else "-"
    )
    gain = f"{with_drafts / without:.2f}x" if without else "-"
    return [f"{with_drafts:.0f}", f"{without:.0f}", gain, right, str(ways.different)]
