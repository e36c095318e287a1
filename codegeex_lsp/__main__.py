"""The command line of `codegeex-lsp`: reads arguments, calls one command, returns its exit code.

Each command imports what it needs itself: `serve` must be quick, `complete` needs no pygls.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from codegeex_lsp import __version__
from codegeex_lsp.commands import editor_config


class _Parser(argparse.ArgumentParser):
    """One clear line and exit code 2 on bad arguments, without the usage block before it."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="codegeex-lsp",
        description="Code completion by a model on your own machine. Without a command: serve.",
    )
    top.add_argument("--version", action="version", version=f"codegeex-lsp {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    serve = commands.add_parser("serve", help="speak LSP on stdin and stdout (the default)")
    serve.add_argument("--stdio", action="store_true", help="accepted for editors that pass it")
    serve.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])

    complete = commands.add_parser("complete", help="print a completion for a place in a file")
    complete.add_argument(
        "place", metavar="FILE:LINE:COL", help="counted from 1; the cursor stands before COL"
    )
    complete.add_argument("--candidates", type=_count, default=1, metavar="N", help="how many (1)")
    complete.add_argument(
        "--lines", type=_lines, default=1, metavar="N", help="at most so many (1)"
    )
    complete.add_argument("--context", type=_lines, default=0, metavar="N", help="lines above, too")
    complete.add_argument("--json", action="store_true", help="text, source and times as JSON")

    commands.add_parser("doctor", help="check this machine and say what to do")
    status = commands.add_parser("status", help="what the model runtime is doing")
    status.add_argument("--json", action="store_true")
    _add_models(commands)

    config = commands.add_parser("editor-config", help="print the configuration for an editor")
    config.add_argument("editor", choices=sorted(editor_config.EDITORS))
    return top


def _add_models(commands: Any) -> None:
    about = "list, show, fetch, choose and remove models"
    models = commands.add_parser("models", help=about, description=about)
    verbs = models.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    listing = verbs.add_parser("list", help="the models that are known, and which are here")
    showing = verbs.add_parser("show", help="all that is known of a model")
    pulling = verbs.add_parser("pull", help="fetch a model; says first what it takes, and asks")
    using = verbs.add_parser("use", help="make it the model of all editors")
    removing = verbs.add_parser("remove", help="free a fetched model's disk space")
    finding = verbs.add_parser("path", help="the folder of a model")
    for verb in (pulling, removing):
        verb.add_argument("model", metavar="NAME")
    for verb in (showing, using, finding):
        verb.add_argument("model", metavar="NAME|FOLDER", help="a known model or a model folder")
    for verb in (listing, showing):
        verb.add_argument("--json", action="store_true")
    for verb in (pulling, removing):
        verb.add_argument("--yes", action="store_true", help="don't ask")
    pulling.add_argument("--revision", default="", help="a branch, tag or commit of the hub")


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] == "--stdio":
        given.insert(0, "serve")
    options = parser().parse_args(given)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130  # what a shell makes of SIGINT
    except BrokenPipeError:
        # Whoever read our output has enough of it, like `head`; Python would flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    if options.command == "serve":
        from codegeex_lsp.commands import serve

        return serve.run(options.log_level)
    if options.command == "complete":
        from codegeex_lsp.commands import complete

        wanted = complete.Options(options.candidates, options.lines)
        return complete.run(
            options.place, wanted, context_lines=options.context, as_json=options.json
        )
    if options.command == "doctor":
        from codegeex_lsp.commands import doctor

        return doctor.run()
    if options.command == "models":
        from codegeex_lsp.commands import models

        return models.run(
            models.Asked(
                options.verb,
                getattr(options, "model", ""),
                getattr(options, "revision", ""),
                getattr(options, "json", False),
                getattr(options, "yes", False),
            )
        )
    if options.command == "editor-config":
        return editor_config.run(options.editor)
    from codegeex_lsp.commands import status

    return status.run(as_json=options.json)


def _count(text: str) -> int:
    return _whole_number(text, 1, 5)


def _lines(text: str) -> int:
    return _whole_number(text, 0, 1000)


def _whole_number(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"expected a number from {least} to {most}, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
