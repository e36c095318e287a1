"""`codegeex-runtime models`: list, show, pull, remove, path. `codegeex-lsp models` runs these.

They print and ask; the work is the catalogue's, cache.py's and download.py's. With --json
`pull` speaks to a program: one object a line, and it reads the answer to its question.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_runtime import installing
from model_runtime.device.system_memory import free_memory
from model_runtime.errors import HubError, RuntimeFailure, UnknownModelError
from model_runtime.folders.fit import PROGRAM_BYTES
from model_runtime.folders.forecast import forecast, served
from model_runtime.folders.hub_folder import only_embeds
from model_runtime.hub import cache, catalogue
from model_runtime.hub.catalogue import Ability, Model

if TYPE_CHECKING:
    from model_runtime.hub.download import Plan

Report = Callable[[int], object]

REPORT_PAUSE_S = 0.25
AS_PICKLES = "it comes as pickles, which are converted and then removed"
INTERRUPTED = 130  # what a shell makes of SIGINT


def add_to(commands: Any) -> None:
    """The command `models` for a parser's subparsers."""
    about = "list, show, fetch and remove models"
    models = commands.add_parser("models", help=about, description=about)
    verbs = models.add_subparsers(required=True, metavar="VERB")
    listing = _verb(verbs, "list", _list, "the models that are known, and which are here")
    showing = _verb(verbs, "show", _show, "all that is known of a model")
    pulling = _verb(verbs, "pull", _pull, "fetch a model from the hub")
    removing = _verb(verbs, "remove", _remove, "free a fetched model's disk space")
    finding = _verb(verbs, "path", _path, "the folder of a model")
    for verb in (showing, pulling, removing, finding):
        verb.add_argument("model", metavar="NAME")
    for verb in (listing, showing, removing):
        verb.add_argument("--used", default="", metavar="NAME", help="the model that editors use")
    for verb in (listing, showing, pulling, finding):
        verb.add_argument("--json", action="store_true", help="for programs")
    for verb in (pulling, removing):
        verb.add_argument("--yes", action="store_true", help="don't ask")
    pulling.add_argument(
        "--revision", default="", help="a branch, tag or commit instead of the catalogue's"
    )


def _verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=about, description=about)
    verb.set_defaults(run=lambda options: _guarded(run, options))
    return verb


def _guarded(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Exit code 2 for a name that nobody knows, 1 for what can't be done."""
    try:
        return run(options)
    except RuntimeFailure as error:
        _failed(str(error), as_json=getattr(options, "json", False) and run is _pull)
        return 2 if isinstance(error, UnknownModelError) else 1
    except ImportError as error:
        print(f"This needs {error.name}; run: {installing.part('local')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; what came is kept, and the next pull goes on there.", file=sys.stderr)
        return INTERRUPTED


# --- list and show ------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    told = [_told(model, options.used) for model in catalogue.models().values()]
    if options.json:
        print(json.dumps(told))
        return 0
    rows = [("", "name", "size", "fits in", "context", "licence", "can"), *map(_row, told)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    free = free_memory()
    memory = "" if free is None else f"; {free / 2**30:.1f} GiB of main memory are free"
    print(f"\nThe size is that of the weights in float16{memory}.")
    return 0


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    return (
        told["state"],
        told["name"],
        _size(told["sizes"]["float16"]),
        "?" if told["fits"] is None else told["fits"] or "no",
        f"{told['context']:,}",
        told["licence"],
        ", ".join(told["abilities"]) if len(told["abilities"]) < 4 else "all but embed",
    )


def _show(options: argparse.Namespace) -> int:
    model = catalogue.find(options.model)
    told = _told(model, options.used)
    if options.json:
        print(json.dumps(told))
        return 0
    sizes = ", ".join(f"{_size(size)} in {name}" for name, size in told["sizes"].items())
    source = f"{told['hub']}, {told['revision'] or 'unpinned'}" if told["hub"] else ""
    stops = [*told["stops"], *map(str, told["stop_ids"])]
    fields = {
        "name": told["name"],
        "state": told["state"] or "not installed",
        "folder": told["folder"],
        "can": ", ".join(told["abilities"]),
        "licence": told["licence"],
        "note": told["note"],
        "size": sizes,
        "fits in": _room(model, told),
        "context": f"{told['context']:,} tokens",
        "network": told["architecture"],
        "format": told["format"] + (", and its own chat template" if told["chat"] else ""),
        "stops": "  ".join(stops),
        "hub": source,
        "weights": f"{AS_PICKLES} (by pull)" if told["pickled"] else "",
    }
    for name, value in fields.items():
        if value:
            print(f"{name:<9} {value}")
    return 0


def _told(model: Model, used: str) -> dict[str, Any]:
    folder = cache.installed(model)
    fits, served_context = _fits(model)
    return {
        "name": model.name,
        "family": model.family,
        "state": _state(model, folder, used),
        "folder": str(folder) if folder else "",
        "abilities": [ability.value for ability in Ability if ability in model.abilities],
        "architecture": model.architecture,
        "format": model.format,
        "chat": model.chat,
        "context": model.context,
        "stops": model.stops,
        "stop_ids": model.stop_ids,
        "licence": model.licence,
        "note": model.note,
        "parameters": model.parameters,
        "sizes": model.sizes,
        "fits": fits,
        "served_context": served_context,
        "hub": model.hub,
        "revision": model.revision,
        "pickled": model.pickled,
    }


def _state(model: Model, folder: Path | None, used: str) -> str:
    if folder is not None:
        return "used" if used.lower() == model.name else "installed"
    return "in part" if cache.partly_here(model) else ""


def _fits(model: Model) -> tuple[str | None, int]:
    """The largest precision that fits main memory now, and the tokens it would be served with; ""
    for none, None when nobody tells."""
    if (free := free_memory()) is None:
        return None, 0
    found = forecast(model, free - PROGRAM_BYTES)
    return found.kept or "", found.context


def _room(model: Model, told: dict[str, Any]) -> str:
    """The same in words."""
    if not served(model):
        return "no, its kind of network can't be served"
    if not told["fits"]:
        return "unknown" if told["fits"] is None else "no, main memory is short"
    return f"{told['fits']}, with {told['served_context']:,} tokens"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


# --- pull, remove, path -------------------------------------------------------------------------


def _pull(options: argparse.Namespace) -> int:
    model = catalogue.find(options.model)
    if not model.hub or (cache.installed(model) and not options.revision):
        return _arrived(model, cache.folder_of(model.name), options.json)
    from model_runtime.hub import download

    plan = download.plan(model, options.revision)
    if plan.pickles:
        if not cache.lacking(made := cache.converted_folder(model) / plan.commit):
            return _arrived(model, made, options.json)
        from model_runtime.commands import hub_conversion  # imports torch

        hub_conversion.check(model)
    question = (
        f"Fetch {model.name}: {_size(plan.missing)} of {_size(plan.size)}, {model.licence}"
        f"{f' ({model.note})' if model.note else ''}, to {cache.cache_folder()}"
        f"{f'; {AS_PICKLES}' if plan.pickles else ''}?"
    )
    if options.json:
        _say("question", text=question, missing=plan.missing, size=plan.size, name=model.name)
    if not options.yes and not _agreed(question, options.json):
        raise HubError("Nothing was fetched; say yes, or --yes.")
    theirs = plan.has_pickles
    with _lines(plan) if options.json else _bar(plan) as report:
        folder = download.fetch(plan, report)
    if plan.pickles:
        fetched, folder = folder, hub_conversion.converted(plan, folder, sys.stderr)
        if not theirs:  # what was here before is another program's
            download.drop_pickles(plan, fetched)
    return _arrived(model, folder, options.json)


def _arrived(model: Model, folder: Path, as_json: bool) -> int:
    if as_json:
        _say("done", folder=str(folder), name=model.name)
    else:
        print(f"{model.name} is in {folder}\nTo use it: codegeex-lsp models use {model.name}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    model = catalogue.find(options.model)
    if model.embedded:
        raise HubError(f"{model.name} is part of the package.")
    if not cache.partly_here(model):
        raise HubError(f"{model.name} isn't installed.")
    size = _size(cache.size_on_disk(model))
    used = ", which editors use," if options.used.lower() == model.name else ""
    question = f"Remove {model.name}{used} from {cache.cache_folder()}, {size}?"
    if not options.yes and not _agreed(question):
        raise HubError("Nothing was removed; say yes, or --yes.")
    cache.remove(model)
    print(f"{model.name} is removed, {size} are free again.")
    return 0


def _path(options: argparse.Namespace) -> int:
    folder = cache.folder_of(options.model)
    model = catalogue.models().get(options.model.lower())
    if options.json:
        config = json.loads((folder / cache.CONFIG).read_text(encoding="utf-8"))
        told = {"name": model.name if model else "", "folder": str(folder)}
        print(json.dumps({**told, "embeds": only_embeds(config)}))
    else:
        print(folder)
    return 0


# --- talking ------------------------------------------------------------------------------------


def _agreed(question: str, as_json: bool = False) -> bool:
    """The answer on stdin, where the end of it means no."""
    if not as_json:
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _failed(sentence: str, *, as_json: bool) -> None:
    if as_json:
        _say("failed", text=sentence)
    else:
        print(sentence, file=sys.stderr)


def _say(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


@contextmanager
def _bar(plan: Plan) -> Iterator[Report]:
    """A bar on the terminal, nothing where there is none."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    with tqdm(
        total=plan.size, desc=plan.model.name, unit="B", unit_scale=True, disable=None
    ) as bar:
        yield lambda count: bar.update(count - bar.n)


@contextmanager
def _lines(plan: Plan) -> Iterator[Report]:
    """An object a line now and then, and one at the end."""
    due = 0.0

    def report(count: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due or count == plan.size:
            due = now + REPORT_PAUSE_S
            _say("progress", done=count, size=plan.size)

    yield report
