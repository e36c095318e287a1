"""The command line `codegeex-runtime`: serve, status, stop, check, convert, bench, models.

It parses and prints; serving/ serves, commands/ asks and has the models, conversion/ converts,
bench/ measures. Exit codes: 0 done,
1 couldn't be done, 2 bad arguments or a bad checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_runtime import __version__, installing
from model_runtime.arguments import Parser, above_zero, add_command
from model_runtime.commands import check, client, models
from model_runtime.device.torch_plugins import keep_plugins_out
from model_runtime.errors import RuntimeFailure
from model_runtime.options import DEVICES, QUANTIZATIONS
from model_runtime.serving import daemon
from model_runtime.wire import endpoint
from model_runtime.wire.client import NoRuntimeError
from model_runtime.wire.configuration import complete
from model_runtime.wire.endpoint import UnsafeDirectoryError

RANDOM_MODEL = "random:codegeex-13b@2layers"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if "device" in options and (complaints := complete(options)):
        parser.error(" ".join(complaints))
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (UnsafeDirectoryError, NoRuntimeError) as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        # Whoever read our output has enough of it, like `head`; Python would flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"The runtime can't work here: {error}.", file=sys.stderr)
    return 1


def _parser() -> Parser:
    parser = Parser(prog="codegeex-runtime", description="Runs a CodeGeeX model for editors.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = _served_command(commands, "serve", _serve, "serve a model until nobody needs it")
    serving.add_argument(
        "--idle-exit",
        dest="idle_exit_s",
        type=above_zero(float, "number of seconds"),
        metavar="SECONDS",
        help="end after so long without a client (default: as in config.toml, else 600)",
    )
    serving.add_argument(
        "--foreground-log", action="store_true", help="log to stderr instead of the log file"
    )
    showing = _served_command(commands, "status", _status, "show what the running runtime does")
    showing.add_argument("--json", action="store_true", help="print it as JSON")
    _served_command(commands, "stop", _stop, "end the running runtime")
    checking = _served_command(
        commands, "check", _check, "see whether this machine can run the model"
    )
    checking.add_argument(
        "--embedding-model", default="", metavar="NAME|FOLDER", help="one for search, too"
    )
    checking.add_argument("--json", action="store_true", help="print it as JSON")
    converting = add_command(
        commands, "convert", _convert, "make a model folder from a checkpoint that holds pickles"
    )
    converting.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="CodeGeeX-13B as a .pt file or a folder of .pt or .npy files, or a model folder of "
        "the hub that has its weights as pytorch_model.bin",
    )
    converting.add_argument("target", type=Path, metavar="TARGET", help="the folder to make")
    converting.add_argument(
        "--quantize",
        dest="scheme",
        default="none",
        metavar="SCHEME",
        help="how to store the blocks' matrices: none (float16, the default), int8 or int4",
    )
    converting.add_argument(
        "--heads", type=int, metavar="N", help="attention heads, where the checkpoint isn't 13B"
    )
    measuring = _model_command(
        commands, "bench", _bench, "measure a network of a model's size, and the memory"
    )
    measuring.set_defaults(model=RANDOM_MODEL)
    measuring.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    measuring.add_argument("--plot", type=Path, metavar="FILE.png", help="draw them")
    models.add_to(commands)
    return parser


def _model_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    command = add_command(commands, name, run, help)
    command.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        help="a known model or a model folder (default: the one that editors use)",
    )
    command.add_argument(
        "--device",
        choices=DEVICES,
        help="where it runs (default: $CODEGEEX_DEVICE, else as in config.toml)",
    )
    return command


def _served_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    """A command about the runtime of one model, device and quantization."""
    command = _model_command(commands, name, run, help)
    command.add_argument(
        "--quantize",
        choices=QUANTIZATIONS,
        metavar="SCHEME",
        help="keep a float16 model in int8, int4, nf4 or llm.int8 (default: $CODEGEEX_QUANTIZE, "
        "else as in config.toml)",
    )
    return command


def _serve(options: argparse.Namespace) -> int:
    return daemon.serve(
        daemon.Options(
            options.model,
            options.device,
            options.idle_exit_s,
            options.foreground_log,
            options.quantize,
        )
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
    findings = list(check.check(options.model, options.device, options.quantize))
    if options.embedding_model:
        findings.append(check.embedding(options.embedding_model))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.name + ':':<13} {finding.found} {finding.advice}".rstrip())
    return int(any(finding.advice for finding in findings))


def _convert(options: argparse.Namespace) -> int:
    keep_plugins_out()
    target = options.target.expanduser().absolute()
    try:
        from model_runtime.conversion.checkpoint import convert

        convert(
            options.source.expanduser(),
            target,
            quantize=options.scheme,
            heads=options.heads,
            messages=sys.stderr,
        )
    except RuntimeFailure as error:
        print(error, file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"Converting needs {error.name}; run: {installing.part('local')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was written.", file=sys.stderr)
        return 1
    print(f"{target} is ready; set CODEGEEX_MODEL={target} to use it.")
    return 0


def _bench(options: argparse.Namespace) -> int:
    keep_plugins_out()
    try:
        from model_runtime.bench import command

        command.run(options.model, options.device, options.json, options.plot)
    except (RuntimeFailure, ValueError) as error:
        print(f"codegeex-runtime bench: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"Measuring needs {error.name}; run: {installing.part('local')}", file=sys.stderr)
        return 1
    return 0


def _meeting(options: argparse.Namespace) -> endpoint.Meeting:
    return endpoint.meeting(__version__, options.model, options.device, options.quantize)


if __name__ == "__main__":
    sys.exit(main())
