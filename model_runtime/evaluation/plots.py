"""The report's plots, as SVG text that stands in the page.

Knows result dictionaries and no page. matplotlib is imported here alone; the extra `eval` has it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_runtime.evaluation import published
from model_runtime.evaluation.languages import LANGUAGES

Result = Mapping[str, Any]
NAMES = {key: language.display for key, language in LANGUAGES.items()}
BLUES = ("#9ecae1", "#4292c6", "#08519c")
PUBLISHED = "#e6550d"
PASSED = "#31a354"
FAILURES = ("#fdae6b", "#e6550d", "#756bb1", "#636363", "#bdbdbd", "#de2d26", "#9e9ac8")


def pass_at_k(result: Result) -> str:
    """Grouped bars by language; the published pass@1 of CodeGeeX-13B as marks."""
    scores = result["languages"]
    keys = [key for key in NAMES if key in scores]
    ks = sorted({int(k) for key in keys for k in scores[key]["pass_at_k"]})
    figure, axes = _figure(7.2, 3.4)
    width = 0.8 / max(1, len(ks))
    for place, k in enumerate(ks):
        at = [x - 0.4 + width * (place + 0.5) for x in range(len(keys))]
        values = [100 * scores[key]["pass_at_k"].get(str(k), 0.0) for key in keys]
        bars = axes.bar(at, values, width * 0.92, label=f"pass@{k}", color=BLUES[place])
        axes.bar_label(bars, fmt="%.1f", fontsize=7, padding=1)
    if result["task"] == "generation":
        values = [
            published.PASS_AT_1["CodeGeeX-13B"][published.LANGUAGES.index(key)] for key in keys
        ]
        at = [x - 0.4 + width * 0.5 for x in range(len(keys))]
        axes.scatter(
            at, values, marker="_", s=260, color=PUBLISHED, label="CodeGeeX-13B pass@1, published"
        )
    axes.set_xticks(range(len(keys)), [NAMES[key] for key in keys])
    axes.set_ylabel("%")
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _svg(figure)


def outcomes(result: Result) -> str:
    """What became of the samples, a bar a language."""
    scores = result["languages"]
    keys = [key for key in reversed(NAMES) if key in scores]
    kinds: list[str] = []
    for key in keys:
        kinds += [kind for kind in scores[key]["outcomes"] if kind not in kinds]
    kinds.sort(key=lambda kind: kind != "passed")
    failures = iter(FAILURES * 2)
    figure, axes = _figure(7.2, 0.5 + 0.42 * len(keys) + 0.6)
    left = [0.0] * len(keys)
    for kind in kinds:
        values = [
            100 * scores[key]["outcomes"].get(kind, 0) / max(1, scores[key]["samples"])
            for key in keys
        ]
        color = PASSED if kind == "passed" else next(failures)
        axes.barh(range(len(keys)), values, left=left, height=0.7, label=kind, color=color)
        left = [before + value for before, value in zip(left, values, strict=True)]
    axes.set_yticks(range(len(keys)), [NAMES[key] for key in keys])
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of samples")
    axes.legend(fontsize=7, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _svg(figure)


def budget(result: Result) -> str:
    """Problems solved by the samples spent, for the three ways of spreading them."""
    ks = sorted(map(int, result["budget"]))
    figure, axes = _figure(5.2, 3.2)
    for way, color in zip(("best single", "uniform", "weighted"), BLUES, strict=True):
        values = [100 * result["budget"][str(k)][way] for k in ks]
        axes.plot(ks, values, marker="o", color=color, label=way)
    for place, way in enumerate(("best single", "uniform", "weighted")):
        values = [published.BUDGET[k]["CodeGeeX-13B"][place] for k in published.BUDGET]
        axes.plot(
            list(published.BUDGET),
            values,
            linestyle=":",
            marker=("x", "+", "1")[place],
            color=PUBLISHED,
            label=f"CodeGeeX-13B {way}, published",
        )
    axes.set_xscale("log")
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_xlabel("samples a problem, over all languages")
    axes.set_ylabel("% solved")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)
    return _svg(figure)


def translation(scores: Mapping[tuple[str, str], float]) -> str:
    """Two heat maps of pass@1: ours and the published one of CodeGeeX-13B."""
    figure, (ours, theirs) = pyplot.subplots(1, 2, figsize=(8.6, 3.9), layout="constrained")
    top = max([*scores.values(), *published.TRANSLATION_AT_1.values(), 1.0])
    _heat_map(ours, scores, "this model", top)
    _heat_map(theirs, published.TRANSLATION_AT_1, "CodeGeeX-13B, published", top)
    return _svg(figure)


def _heat_map(axes: Axes, scores: Mapping[tuple[str, str], float], title: str, top: float) -> None:
    keys = list(NAMES)
    cells = [[scores.get((source, target), float("nan")) for target in keys] for source in keys]
    axes.imshow(cells, cmap="Blues", vmin=0, vmax=top)
    for (source, target), value in scores.items():
        axes.text(
            keys.index(target),
            keys.index(source),
            f"{value:.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value > top / 2 else "black",
        )
    axes.set_xticks(range(len(keys)), [NAMES[key] for key in keys], fontsize=8)
    axes.set_yticks(range(len(keys)), [NAMES[key] for key in keys], fontsize=8)
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    axes.set_title(title, fontsize=9)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """Without the XML head, so that it can stand in HTML; the same input gives the same text."""
    written = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "codegeex-eval"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    text = written.getvalue()
    return text[text.index("<svg") :]


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """One horizontal bar a row, in percent; rows whose name says "published" in their colour."""
    figure, axes = _figure(7.2, 0.6 + 0.32 * len(rows))
    names = [name for name, _ in reversed(rows)]
    values = [value for _, value in reversed(rows)]
    colors = [PUBLISHED if "published" in name else BLUES[1] for name in names]
    drawn = axes.barh(names, values, color=colors)
    axes.bar_label(drawn, fmt="%.1f", fontsize=8, padding=2)
    axes.set_xlabel("% of cases passed")
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    return _svg(figure)
