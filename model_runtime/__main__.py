"""The command line `codegeex-runtime`: serve, status, stop.

It parses and prints; daemon.py serves and client.py asks. Exit codes: 0 done, 1 couldn't be done,
2 bad arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from model_runtime import __version__, client, daemon, endpoint
from model_runtime.endpoint import UnsafeDirectoryError

DEFAULT_IDLE_EXIT_S = 600.0


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (UnsafeDirectoryError, client.NoRuntimeError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"The runtime can't work here: {error}.", file=sys.stderr)
    return 1


def _parser() -> Parser:
    parser = Parser(prog="codegeex-runtime", description="Runs a CodeGeeX model for editors.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = _command(commands, "serve", _serve, "serve a model until nobody needs it")
    serving.add_argument(
        "--idle-exit",
        type=_seconds,
        default=DEFAULT_IDLE_EXIT_S,
        metavar="SECONDS",
        help="end after so long without a client (default: 600)",
    )
    serving.add_argument(
        "--foreground-log", action="store_true", help="log to stderr instead of the log file"
    )
    showing = _command(commands, "status", _status, "show what the running runtime does")
    showing.add_argument("--json", action="store_true", help="print it as JSON")
    _command(commands, "stop", _stop, "end the running runtime")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    command.set_defaults(run=run)
    command.add_argument(
        "--model",
        default=os.environ.get("CODEGEEX_MODEL") or daemon.DEFAULT_MODEL,
        metavar="NAME|FOLDER",
        help="a known model or a model folder (default: $CODEGEEX_MODEL or %(default)s)",
    )
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default=os.environ.get("CODEGEEX_DEVICE") or "auto",
        help="where it runs (default: $CODEGEEX_DEVICE or %(default)s)",
    )
    return command


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


_seconds.__name__ = "number of seconds"  # argparse names the type in its message


def _serve(options: argparse.Namespace) -> int:
    return daemon.serve(
        daemon.Options(options.model, options.device, options.idle_exit, options.foreground_log)
    )


def _status(options: argparse.Namespace) -> int:
    report = client.status(_meeting(options))
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(f"{name + ':':<13} {value}" for name, value in _described(report)))
    return 0


def _stop(options: argparse.Namespace) -> int:
    client.stop(_meeting(options))
    print("The runtime has ended.")
    return 0


def _meeting(options: argparse.Namespace) -> endpoint.Meeting:
    return endpoint.meeting(__version__, options.model, options.device)


def _described(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The report for people, a line each."""
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(report["requests"].items()))
    latency, cancel = report["latency_ms"], report["cancel"]
    return [
        ("pid", f"{report['pid']}, version {report['version']}"),
        ("model", report["model"]),
        ("device", report["device"] or "not chosen yet"),
        ("state", f"{report['state']}: {report['message']}"),
        ("up", f"{report['uptime_s']:.0f} s"),
        ("clients", f"{report['clients']}, {report['queue']} requests waiting"),
        ("requests", outcomes or "none yet"),
        ("latency", f"p50 {_figure(latency['p50'])} ms, p95 {_figure(latency['p95'])} ms"),
        ("speed", f"{_figure(report['tokens_per_s'])} tokens/s, {report['copies']} copies"),
        ("cache", f"{_percent(report['cache_hit_share'])} of prompt tokens re-used"),
        ("memory", f"{_figure((report['memory_bytes'] or 0) / 2**20 or None)} MiB"),
        (
            "cancelled",
            f"{cancel['count']}, free after at most {cancel['steps_after']} steps "
            f"and {cancel['slowest_ms']:.1f} ms",
        ),
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


if __name__ == "__main__":
    sys.exit(main())
