"""Which models are on this machine: the user's own cache of the hub, and folders anywhere.

A model counts when it is whole: config, tokenizer, and every file of weights that its index names.
The cache is huggingface_hub's, where HF_HOME or HF_HUB_CACHE has it, and shared with other
programs. What was published as pickles alone lies converted in the user's cache folder for
codegeex. Nothing here needs the network or torch.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import platformdirs

from model_runtime.errors import HubError, UnknownModelError
from model_runtime.hub import catalogue
from model_runtime.hub.catalogue import Ability, Model
from model_runtime.options import EMBEDDED_FOLDER

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# How many of the models that can do something are named in a sentence.
NAMED = 3
# What belongs to a model beside its weights.
SUFFIXES = (".json", ".model", ".jinja")
NAMES = ("merges.txt", "vocab.txt", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")


def folder_of(name: str) -> Path:
    """The folder of a model of the catalogue or, by its path, of any other.

    Raises UnknownModelError for a name that is neither, and HubError for a model that isn't here
    or isn't whole.
    """
    if (model := catalogue.models().get(name.lower())) is None:
        folder = Path(name).expanduser().absolute()
        if not folder.is_dir() and not is_path(name):
            catalogue.find(name)  # tells the nearest names
        return _whole(folder)
    if (found := installed(model)) is not None:
        return found
    if not model.hub:
        raise HubError(
            f"{model.name} is made from its publisher's checkpoint: run codegeex-runtime convert "
            "SOURCE TARGET, then codegeex-lsp models use TARGET."
        )
    raise HubError(f"{model.name} isn't installed; run: codegeex-lsp models pull {model.name}")


def installed(model: Model) -> Path | None:
    """Its folder when it is here and whole: the pinned revision's, else the newest."""
    if model.embedded:
        return EMBEDDED_FOLDER
    if not model.hub:
        return None
    revisions = (*_cached(model).glob("snapshots/*"), *converted_folder(model).glob("*"))
    whole = [path for path in revisions if not lacking(path)]
    return max(whole, key=lambda path: (path.name == model.revision, _time(path)), default=None)


def partly_here(model: Model) -> bool:
    """Whether something of it is in the cache."""
    return bool(model.hub) and any(folder.is_dir() for folder in _folders(model))


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


def lacking(folder: Path) -> str:
    """What keeps the folder from being a whole model, the end of a sentence; "" when it is one."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if "network" in config:  # ours, the embedded model's and a converted checkpoint's
            return _first_missing(folder, config["files"])
        if (folder / INDEX).exists():
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            weights = sorted(set(index["weight_map"].values()))
        else:
            weights = [WEIGHTS]
    except FileNotFoundError:
        return f"it has no {CONFIG}"
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"its {CONFIG} or {INDEX} can't be read"
    missing = _first_missing(folder, weights)
    if missing and any(path for kind in PICKLES for path in folder.glob(kind)):
        return (
            "it has its weights as pickle files, which can run code; make a folder of safetensors: "
            f"codegeex-runtime convert {folder} TARGET"
        )
    if not missing and not any((folder / name).exists() for name in TOKENIZERS):
        return "it has no tokenizer"
    return missing


def able(task: str) -> list[str]:
    """Names of some models that can be asked for it, those that are here first, then by size."""
    found = catalogue.able(Ability(task)) if task in set(Ability) else []
    found.sort(key=lambda model: installed(model) is None)
    return [model.name for model in found[:NAMED]]


def belongs(name: str) -> bool:
    """Whether a model needs a file of that name beside its weights."""
    return name.endswith(SUFFIXES) or name in NAMES


def cache_folder() -> Path:
    """Where the user keeps what comes from the hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser()


def converted_folder(model: Model) -> Path:
    """Where its revisions lie that were published as pickles, each as a folder of safetensors."""
    chosen = os.environ.get("CODEGEEX_CACHE_DIR")
    root = Path(chosen) if chosen else platformdirs.user_cache_path("codegeex", appauthor=False)
    return root / "models" / model.name


def repository_folder(hub: str) -> str:
    """The name that the cache gives a repository's folder."""
    return "models--" + hub.replace("/", "--")


def _cached(model: Model) -> Path:
    return cache_folder() / repository_folder(model.hub)


def _folders(model: Model) -> tuple[Path, Path]:
    return _cached(model), converted_folder(model)


def _whole(folder: Path) -> Path:
    if not folder.is_dir():
        raise UnknownModelError(f"There is no model folder {folder}.")
    if problem := lacking(folder):
        raise HubError(f"{folder} is no model that can be used: {problem}.")
    return folder


def _first_missing(folder: Path, names: list[str] | dict[str, object]) -> str:
    # A link into the cache stands for a finished file: it is made last.
    missing = [name for name in names if not (folder / name).exists()]
    return f"it lacks {missing[0]}" if missing else ""


def is_path(name: str) -> bool:
    """Whether it can only mean a folder."""
    return name.startswith(("~", ".")) or os.sep in name or "/" in name


def _time(folder: Path) -> float:
    return folder.stat().st_mtime
