"""How good completions are: `scripts/bench quality FOLDER`, on packages no weights were trained on.

    scripts/nano/corpus CORPUS
    scripts/nano/unpack CORPUS/held-out.jsonl.xz FOLDER
    scripts/bench quality FOLDER [--cursors 320] [--seed 1] [--json FILE] [--plot FILE]

At each cursor the rest of a line is asked for by every method: the engine in this process answers
real requests, the last rows go through the completer with its filters as well. A package's other
files are open in the editor where the method says so. The curve shows what share of suggestions is
right to its third token when only those above a confidence are shown, and the confidence at which
half of them are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks import copying, in_process
from benchmarks.cursors import Cursor, choose
from benchmarks.in_process import Runtime
from benchmarks.judging import Verdict, judge
from benchmarks.table import row, title
from model_runtime.wire.protocol import Candidate

WANTED_PRECISION = 0.5


@dataclass(frozen=True)
class Answer:
    """What one method said at one cursor; `confidence` is what the server compares."""

    text: str = ""
    confidence: float = 1.0

    @classmethod
    def of(cls, candidate: Candidate | None) -> Answer:
        if candidate is None:
            return cls()
        mean_logprob = candidate.mean_logprob
        return cls(candidate.text, 1.0 if mean_logprob is None else math.exp(mean_logprob))


@dataclass(frozen=True)
class Outcome:
    cursor: Cursor
    answer: Answer
    verdict: Verdict


Method = Callable[[Cursor], Answer]
SERVER = "nano + memory of the open files, through the server"


def measure(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    cursors = choose(options.folder, options.cursors, options.seed)
    runtime = Runtime(options.model)
    title(
        f"Completing the rest of a line, {len(cursors)} cursors, {runtime.model.name}",
        *("exact", "line start", "mid-line", "right prefix", "similarity"),
        *("shown", "parse-neutral", "3 tokens right", "next line"),
    )
    outcomes = {}
    for name, method in _methods(runtime).items():
        outcomes[name] = [_outcome(cursor, method(cursor), runtime) for cursor in cursors]
        row(name, *_cells(outcomes[name]))
    threshold = _threshold(outcomes[SERVER])
    chosen = _above(outcomes[SERVER], threshold)
    row(f"the same, shown from confidence {threshold:.2f}", *_cells(chosen))
    _by_language(outcomes)
    if options.json:
        _write_json(options.json, outcomes, threshold)
    if options.plot:
        _plot(options.plot, outcomes, threshold)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench quality")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="language/package/path in it")
    parser.add_argument("--cursors", type=int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="codegeex-nano")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--plot", type=Path, help="write the precision curve to this PNG file")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"There is no folder {options.folder}; scripts/nano/unpack makes one.")
    return options


def _methods(runtime: Runtime) -> dict[str, Method]:
    def asked(**how: bool) -> Method:
        return lambda cursor: Answer.of(runtime.complete(cursor, **how))

    def served(cursor: Cursor) -> Answer:
        return Answer.of(asyncio.run(in_process.through_server(runtime, cursor)))

    return {
        "copy from the same file": _copy,
        "nano, no suffix": asked(suffix=False),
        "nano": asked(),
        "nano + memory of the file, no suffix": asked(memory=True, suffix=False),
        "nano + memory of the file": asked(memory=True),
        "nano + memory of the open files": asked(memory=True, others=True),
        SERVER: served,
    }


def _copy(cursor: Cursor) -> Answer:
    return Answer(copying.predict(*cursor.request_texts) or "")


def _outcome(cursor: Cursor, answer: Answer, runtime: Runtime) -> Outcome:
    return Outcome(cursor, answer, judge(answer.text, cursor, runtime.pieces(answer.text)))


def _above(outcomes: list[Outcome], threshold: float) -> list[Outcome]:
    """What is shown from that confidence on; the others say nothing, which is never right."""
    return [
        one
        if one.answer.confidence >= threshold
        else Outcome(one.cursor, Answer(), judge("", one.cursor, []))
        for one in outcomes
    ]


def _threshold(outcomes: list[Outcome]) -> float:
    """The least confidence, in hundredths, at which enough of what is shown begins right."""
    for hundredths in range(100):
        precision, _ = _point(outcomes, hundredths / 100)
        if precision >= WANTED_PRECISION:
            return hundredths / 100
    return 1.0


def _point(outcomes: list[Outcome], threshold: float) -> tuple[float, float]:
    """Precision and coverage when only what is at least so sure is shown."""
    shown = [one for one in outcomes if one.answer.text and one.answer.confidence >= threshold]
    precision = mean(one.verdict.begins_right for one in shown) if shown else 1.0
    return precision, len(shown) / len(outcomes)


def _figures(outcomes: list[Outcome]) -> dict[str, float]:
    """Shares of all cursors; the last three of what is shown."""
    shown = [one.verdict for one in outcomes if one.answer.text.strip()]
    starts = [one for one in outcomes if one.cursor.at_line_start]
    middles = [one for one in outcomes if not one.cursor.at_line_start]
    return {
        "exact": _share(one.verdict.exact for one in outcomes),
        "line_start": _share(one.verdict.exact for one in starts),
        "mid_line": _share(one.verdict.exact for one in middles),
        "prefix": _share(one.verdict.prefix for one in outcomes),
        "similarity": _share(one.verdict.similarity for one in outcomes),
        "shown": len(shown) / len(outcomes),
        "neutral": _share(one.neutral for one in shown),
        "begins_right": _share(one.begins_right for one in shown),
        "repeats": _share(one.repeats for one in shown),
    }


def _share(values: Iterable[float]) -> float:
    found = list(values)
    return mean(found) if found else 0.0


def _cells(outcomes: list[Outcome]) -> list[str]:
    return [f"{100 * figure:.1f} %" for figure in _figures(outcomes).values()]


def _by_language(outcomes: dict[str, list[Outcome]]) -> None:
    languages = sorted({one.cursor.language for one in outcomes[SERVER]})
    title("Exact, by language", *languages)
    for name, all_of_them in outcomes.items():
        by_language = (
            [one for one in all_of_them if one.cursor.language == language]
            for language in languages
        )
        row(name, *(f"{100 * _figures(some)['exact']:.1f} %" for some in by_language))


def _write_json(path: Path, outcomes: dict[str, list[Outcome]], threshold: float) -> None:
    curve = [
        dict(zip(("threshold", "precision", "coverage"), (t / 100, *point), strict=True))
        for t in range(101)
        for point in [_point(outcomes[SERVER], t / 100)]
    ]
    figures = {name: _figures(some) for name, some in outcomes.items()}
    figures["shown"] = _figures(_above(outcomes[SERVER], threshold))
    report = {"threshold": threshold, "figures": figures, "curve": curve}
    path.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _plot(path: Path, outcomes: dict[str, list[Outcome]], threshold: float) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for name in ("nano", "nano + memory of the file", SERVER):
        points = [_point(outcomes[name], t / 100) for t in range(100)]
        axes.plot([c for _, c in points], [p for p, _ in points], label=name)
    precision, coverage = _point(outcomes[SERVER], threshold)
    axes.plot(coverage, precision, "ko", label=f"minimum confidence {threshold:.2f}")
    axes.axhline(WANTED_PRECISION, color="grey", linewidth=0.7)
    axes.set(xlabel="share of cursors with a suggestion", ylabel="right to the third token")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=120)
