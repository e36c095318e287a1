"""Rows of a Markdown table, printed as they are measured."""

from __future__ import annotations

from collections.abc import Sequence


def title(text: str, *columns: str) -> None:
    print(f"\n### {text}\n")
    print("| " + " | ".join(("", *columns)) + " |")
    print("|---" * (len(columns) + 1) + "|", flush=True)


def row(name: str, *cells: str) -> None:
    print("| " + " | ".join((name, *cells)) + " |", flush=True)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]


def percentiles(seconds: Sequence[float]) -> str:
    """p50 and p95 in milliseconds."""
    return f"{quantile(seconds, 0.5) * 1000:.2f} / {quantile(seconds, 0.95) * 1000:.2f} ms"


def ratio(ours: float, theirs: float) -> str:
    return f"{theirs / ours:.1f}x" if ours else "-"
