"""The status report in words. Knows the report's shape and nothing behind it."""

from __future__ import annotations

from typing import Any


def lines(report: dict[str, Any]) -> tuple[str, ...]:
    """The report of Daemon.report(), a line each."""
    return tuple(f"{name + ':':<13} {value}" for name, value in _described(report))


def _described(report: dict[str, Any]) -> list[tuple[str, str]]:
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(report["requests"].items()))
    latency, cancel = report["latency_ms"], report["cancel"]
    learned = {"documents": 0, "tokens": 0, **report["remembered"]}
    return [
        ("pid", f"{report['pid']}, version {report['version']}"),
        ("model", report["model"] + (f" in {kept}" if (kept := report["quantize"]) else "")),
        ("device", report["device"] or "not chosen yet"),
        ("state", f"{report['state']}: {report['message']}"),
        ("up", f"{report['uptime_s']:.0f} s"),
        ("clients", f"{report['clients']}, {report['queue']} requests waiting"),
        ("requests", outcomes or "none yet"),
        ("latency", f"p50 {_figure(latency['p50'])} ms, p95 {_figure(latency['p95'])} ms"),
        ("speed", f"{_figure(report['tokens_per_s'])} tokens/s"),
        ("cache", f"{_percent(report['cache_hit_share'])} of prompt tokens re-used"),
        ("memory", f"{_figure((report['memory_bytes'] or 0) / 2**20 or None)} MiB"),
        (
            "remembers",
            f"{learned['documents']} files, {learned['tokens']:,} tokens, not on disk",
        ),
        (
            "cancelled",
            f"{cancel['count']}, free after at most {cancel['steps_after']} steps "
            f"and {cancel['slowest_ms']:.1f} ms",
        ),
        *(("failed", told) for told in [_failed(report["failed"])] if told),
        *(("editor", _window(window)) for window in report["editors"]),
    ]


def _failed(counts: dict[str, int]) -> str:
    """ "" when nothing did."""
    words = {"turns": "turns", "letters": "texts to remember"}
    return ", ".join(f"{count} {words[what]}" for what, count in counts.items() if count)


def _window(window: dict[str, Any]) -> str:
    empty = ", ".join(f"{count} {reason}" for reason, count in sorted(window["empty"].items()))
    return (
        f"{window['client']}: {window['requests']} requests, {window['shown']} shown, "
        f"{window['cached']} from its cache; empty: {empty or 'none'}; "
        f"last: {window['last'] or '-'}"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
