"""The command line `codegeex-runtime`: serve, status, stop, check.

It parses and prints; daemon.py serves and client.py asks. Exit codes: 0 done, 1 couldn't be done,
2 bad arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from model_runtime import __version__, check, client, daemon, endpoint
from model_runtime.endpoint import UnsafeDirectoryError
from model_runtime.loading import DEFAULT_MODEL

DEFAULT_IDLE_EXIT_S = 600.0
DEVICES = ("auto", "cpu", "cuda")


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.device not in DEVICES:  # argparse doesn't check defaults
        parser.error(f"CODEGEEX_DEVICE is {options.device}; use one of {', '.join(DEVICES)}")
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
    checking = _command(commands, "check", _check, "see whether this machine can run the model")
    checking.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    command.set_defaults(run=run)
    command.add_argument(
        "--model",
        default=os.environ.get("CODEGEEX_MODEL") or DEFAULT_MODEL,
        metavar="NAME|FOLDER",
        help="a known model or a model folder (default: $CODEGEEX_MODEL or %(default)s)",
    )
    command.add_argument(
        "--device",
        choices=DEVICES,
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
    status = client.status(_meeting(options))
    print(json.dumps(status.report, indent=2) if options.json else "\n".join(status.lines))
    return 0


def _stop(options: argparse.Namespace) -> int:
    client.stop(_meeting(options))
    print("The runtime has ended.")
    return 0


def _check(options: argparse.Namespace) -> int:
    findings = list(check.check(options.model, options.device))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.name + ':':<13} {finding.found} {finding.advice}".rstrip())
    return int(any(finding.advice for finding in findings))


def _meeting(options: argparse.Namespace) -> endpoint.Meeting:
    return endpoint.meeting(__version__, options.model, options.device)


if __name__ == "__main__":
    sys.exit(main())
