"""Which models are on this machine: the user's own cache of the hub, and folders anywhere.

A model counts when it is whole: config, tokenizer, and every file of weights that its index names.
The cache is huggingface_hub's, where HF_HOME or HF_HUB_CACHE has it, and shared with other
programs. What was published as pickles alone lies converted in the user's cache folder for
codegeex, and so does what was made of GGUF files. Nothing here needs the network or torch.
"""

from __future__ import annotations

import os
import shutil
import urllib.parse
from pathlib import Path

import platformdirs

from model_runtime.errors import HubError, WeightsError
from model_runtime.hub import catalogue
from model_runtime.hub.catalogue import Ability, Model
from model_runtime.hub.soundness import lacking, located
from model_runtime.options import EMBEDDED_FOLDER, is_path

# How many of the models that can do something are named in a sentence.
NAMED = 3
# What belongs to a model beside its weights.
SUFFIXES = (".json", ".model", ".jinja")
NAMES = ("merges.txt", "vocab.txt", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")


def folder_of(name: str) -> Path:
    """The folder of a model of the catalogue or, by its path, of any other.

    Raises UnknownModelError for a name that is neither, HubError for a model that isn't here, and
    WeightsError for a folder that is no whole model.
    """
    if (model := catalogue.models().get(name.lower())) is None:
        folder = place_of(name)
        if problem := lacking(folder):
            raise WeightsError(f"{folder} is no model that can be used: {problem}.")
        return folder
    if (found := installed(model)) is not None:
        return found
    if not model.hub and not model.package:
        raise HubError(
            f"{model.name} is made from its publisher's checkpoint: run codegeex-runtime convert "
            "SOURCE TARGET, then codegeex-lsp models use TARGET."
        )
    raise HubError(f"{model.name} isn't installed; run: codegeex-lsp models pull {model.name}")


def place_of(name: str) -> Path:
    """A folder that no catalogue knows. Raises UnknownModelError, and WeightsError for a file."""
    folder = Path(name).expanduser().absolute()
    if not is_path(name) and not folder.exists():
        catalogue.find(name)  # tells the nearest names
    return located(folder)


def installed(model: Model) -> Path | None:
    """Its folder when it is here and whole: the pinned revision's, else the newest."""
    if model.embedded:
        return EMBEDDED_FOLDER
    cached = _cached(model).glob("snapshots/*") if model.hub else ()
    revisions = (*cached, *converted_folder(model).glob("[!.]*"))
    whole = [path for path in revisions if not lacking(path)]
    return max(whole, key=lambda path: (path.name == model.revision, _time(path)), default=None)


def partly_here(model: Model) -> bool:
    """Whether something of it is in the cache."""
    return any(folder.is_dir() for folder in _folders(model))


def size_on_disk(model: Model) -> int:
    """Bytes of everything the cache has of it, unfinished files too."""
    paths = (path for folder in _folders(model) for path in folder.rglob("*"))
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())


def remove(model: Model) -> None:
    """Free what the cache has of it, all revisions. Raises HubError."""
    for folder in filter(Path.is_dir, _folders(model)):
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise HubError(f"{folder} can't be removed: {error.strerror}.") from error


def able(task: str) -> list[str]:
    """Names of some models that can be asked for it, those that are here first, then by size."""
    found = catalogue.able(Ability(task)) if task in set(Ability) else []
    found.sort(key=lambda model: installed(model) is None)
    return [model.name for model in found[:NAMED]]


def belongs(name: str) -> bool:
    """Whether a model needs a file of that name beside its weights."""
    return name.endswith(SUFFIXES) or name in NAMES


def check_address() -> None:
    """Before the hub's library is imported, which fails on such an HF_ENDPOINT. Raises HubError."""
    address = os.environ.get("HF_ENDPOINT", "")
    try:
        parts = urllib.parse.urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if address and not usable:
        raise HubError(f"HF_ENDPOINT is {address[:200]}; write it as https://HOST, or unset it.")


def cache_folder() -> Path:
    """Where the user keeps what comes from the hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser()


def converted_folder(model: Model) -> Path:
    """Where its revisions lie that were published as pickles or GGUF, each a model folder."""
    return made_folder() / model.name


def made_folder() -> Path:
    """Where model folders lie that were made here."""
    chosen = os.environ.get("CODEGEEX_CACHE_DIR")
    root = Path(chosen) if chosen else platformdirs.user_cache_path("codegeex", appauthor=False)
    return root / "models"


def repository_folder(hub: str) -> str:
    """The name that the cache gives a repository's folder."""
    return "models--" + hub.replace("/", "--")


def _cached(model: Model) -> Path:
    return cache_folder() / repository_folder(model.hub)


def _folders(model: Model) -> tuple[Path, ...]:
    return *([_cached(model)] if model.hub else []), converted_folder(model)


def _time(folder: Path) -> float:
    return folder.stat().st_mtime
