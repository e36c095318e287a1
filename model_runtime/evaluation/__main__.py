"""The command line `codegeex-eval`: humaneval-x, mtpb, report, download.

It parses and prints; humaneval_x.py and mtpb.py evaluate. Exit codes: 0 done, 1 interrupted, 2 bad
arguments, files or surroundings.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from model_runtime import __version__, installing
from model_runtime.arguments import Parser, above_zero, add_command
from model_runtime.evaluation import report
from model_runtime.evaluation.download import default_folder, download
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.samples import Way
from model_runtime.options import DEVICES
from model_runtime.wire.configuration import complete
from model_runtime.wire.endpoint import UnsafeDirectoryError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if "device" in options and (complaints := complete(options)):
        parser.error(" ".join(complaints))
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except (EvaluationError, UnsafeDirectoryError) as error:
        print(error, file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"codegeex-eval needs {error.name}; run: {installing.part('eval')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; run the same command again to go on.", file=sys.stderr)
        return 1
    return 0


def _parser() -> Parser:
    parser = Parser(prog="codegeex-eval", description="Measures how good a model is at code.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _humaneval_x(commands)
    _mtpb(commands)
    _report(commands)
    fetching = add_command(commands, "download", _run_download, "fetch the problem files")
    _data(fetching)
    return parser


def _humaneval_x(commands: Any) -> None:
    command = add_command(
        commands, "humaneval-x", _run_humaneval_x, "164 problems in five languages, executed"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("--score", type=Path, metavar="FILE", help="score a file of samples")
    which.add_argument("--canonical", action="store_true", help="run the reference solutions")
    which.add_argument("--wrong-bodies", action="store_true", help="run bodies that must fail")
    command.add_argument(
        "--languages", default="", metavar="A,B", help="python,cpp,java,js,go (default: all)"
    )
    command.add_argument(
        "--source",
        default="",
        metavar="LANGUAGE",
        help="translate from it, or from all in turn",
    )
    command.add_argument(
        "--problems",
        type=POSITIVE,
        metavar="N",
        help="only the first N of each language",
    )
    command.add_argument(
        "--no-overlay", action="store_true", help="leave the wrong solutions as published"
    )
    command.add_argument(
        "--reference-rules", action="store_true", help="judge as the published evaluator does"
    )
    _sampling(command, temperature=0.8)
    _executing(command)


def _mtpb(commands: Any) -> None:
    command = add_command(commands, "mtpb", _run_mtpb, "115 problems in several turns, executed")
    command.add_argument("--score", type=Path, metavar="FILE", help="score a file of programs")
    command.add_argument(
        "--single-turn", action="store_true", help="give all turns at once instead of one by one"
    )
    command.add_argument(
        "--problems",
        type=POSITIVE,
        metavar="N",
        help="only the first N, with all their inputs",
    )
    _sampling(command, temperature=0.2)
    _executing(command)


def _report(commands: Any) -> None:
    command = add_command(commands, "report", _run_report, "draw one page from several results")
    command.add_argument("results", nargs="+", type=Path, metavar="JSON")
    command.add_argument("--out", type=Path, required=True, metavar="NAME", help=OUT_HELP)


POSITIVE = above_zero(int, "number above 0")
OUT_HELP = "write NAME.html and NAME.json"


def _sampling(command: argparse.ArgumentParser, temperature: float) -> None:
    command.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        help="a known model or a model folder (default: the one that editors use)",
    )
    command.add_argument("--device", choices=DEVICES)
    command.add_argument(
        "--ask",
        choices=[str(way) for way in Way],
        default=str(Way.AUTO),
        help="go on with a text, or answer a question (default: as the model was made for)",
    )
    command.add_argument(
        "-n",
        "--number",
        type=POSITIVE,
        default=1,
        metavar="N",
        help="samples a problem",
    )
    command.add_argument("--temperature", type=float, default=temperature, metavar="T")
    command.add_argument("--top-k", type=int, default=0, metavar="K")
    command.add_argument("--top-p", type=float, default=0.95, metavar="P")
    command.add_argument(
        "--beams",
        type=int,
        default=0,
        metavar="N",
        help="search for the likeliest texts as wholes; needs --temperature 0",
    )
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--max-tokens", type=POSITIVE, default=512, metavar="N")
    command.add_argument(
        "--samples", type=Path, metavar="FILE", help="where the samples go; a file there is filled"
    )


def _executing(command: argparse.ArgumentParser) -> None:
    _data(command)
    command.add_argument("--out", type=Path, metavar="NAME", help=OUT_HELP)
    command.add_argument(
        "--workers",
        type=POSITIVE,
        default=os.cpu_count() or 1,
        metavar="N",
        help="at once",
    )
    command.add_argument("--seconds", type=float, default=10.0, metavar="S", help="a program's")
    command.add_argument(
        "--build-seconds", type=float, default=30.0, metavar="S", help="its compiler's"
    )
    command.add_argument(
        "--unsafe", action="store_true", help="run the programs without any isolation"
    )


def _data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        default=default_folder(),
        metavar="FOLDER",
        help="the problem files (default: %(default)s)",
    )


def _run_humaneval_x(options: argparse.Namespace) -> None:
    from model_runtime.evaluation import humaneval_x

    _finish(options, humaneval_x.run(options), humaneval_x.lines)


def _run_mtpb(options: argparse.Namespace) -> None:
    from model_runtime.evaluation import mtpb_evaluation

    _finish(options, [mtpb_evaluation.run(options)], mtpb_evaluation.lines)


def _finish(
    options: argparse.Namespace,
    results: list[dict[str, Any]],
    lines: Callable[[dict[str, Any]], list[str]],
) -> None:
    if options.out:
        report.write(results, options.out)
    for result in results:
        if result.get("source"):
            print(f"from {result['source']}:")
        print("\n".join(lines(result)))


def _run_report(options: argparse.Namespace) -> None:
    report.write([result for path in options.results for result in report.read(path)], options.out)


def _run_download(options: argparse.Namespace) -> None:
    print(f"{download(options.data)} files fetched; the problems are in {options.data}.")


if __name__ == "__main__":
    sys.exit(main())
