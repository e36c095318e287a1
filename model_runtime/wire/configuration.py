"""What only the user's own file and environment may say: which model, where, how.

It decides which runtime two programs mean, so both read it here: the language server, which starts
one, and the runtime's own commands, which ask it. Bad values never raise: the default stays and one
sentence says what would be right.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from model_runtime import reading
from model_runtime.options import DEFAULT_MODEL, Device, Quantize, is_path
from model_runtime.reading import UnreadableError
from model_runtime.wire.settings_table import merged, setting

# What the commands of the runtime have as options of the same names.
SHARED = ("model", "device", "quantize", "idle_exit_s")


@dataclass(frozen=True, slots=True)
class TrustedSettings:
    """What only the user's configuration file and environment may say."""

    model: str = setting(
        DEFAULT_MODEL,
        "The model's name, or a folder that holds one.",
        environment="CODEGEEX_MODEL",
    )
    device: Device = setting(  # noqa: RUF009  (an enum member is as immutable as a number)
        Device.AUTO,
        "Where the model runs; auto takes a GPU or NPU that works.",
        environment="CODEGEEX_DEVICE",
    )
    idle_exit_s: int = setting(
        600, "Seconds without an editor after which the model's process ends.", 1, 30 * 86400
    )
    quantize: Quantize = setting(  # noqa: RUF009  (as above)
        Quantize.NONE,
        "Keep a model that is stored in float16 smaller in memory; empty keeps it as it is.",
        environment="CODEGEEX_QUANTIZE",
    )
    embedding_model: str = setting(
        "",
        "A second model for search by meaning: codet5p-110m-embedding, or the folder of a T5 "
        "encoder; empty for none.",
        environment="CODEGEEX_EMBEDDING_MODEL",
    )
    template_folder: str = setting(
        "templates",
        "The folder of your prompt templates, one file each; beside the configuration file unless "
        "it is a whole path.",
    )
    exclude: tuple[str, ...] = setting(
        (),
        "As `codegeex.exclude`, for all editors and projects: no project's settings take it back.",
    )


def load_trusted(environ: Mapping[str, str]) -> tuple[TrustedSettings, list[str]]:
    """The configuration file's settings, those of the environment over them, and what was wrong."""
    path = config_path(environ)
    values, problems = _values(path, named=bool(environ.get("CODEGEEX_CONFIG")))
    trusted = merged(TrustedSettings(), values, "", str, problems)
    trusted = _with_whole_paths(trusted, path.parent)
    variables = {
        one.name: one.metadata["environment"] for one in dataclasses.fields(TrustedSettings)
    }
    said = {name: environ[name] for name in variables.values() if environ.get(name)}
    trusted = merged(trusted, said, "", variables.__getitem__, problems)
    return _with_whole_paths(trusted, Path.cwd()), problems


def complete(options: argparse.Namespace) -> list[str]:
    """Fill in what a command has an option for and wasn't given; answers what was wrong.

    The model's name becomes the one that the language server gives it.
    """
    lacking = [name for name, value in vars(options).items() if value is None and name in SHARED]
    complaints: list[str] = []
    if lacking:
        trusted, complaints = load_trusted(os.environ)
        for name in lacking:
            setattr(options, name, getattr(trusted, name))
    options.model = whole_name(options.model, Path.cwd())
    return complaints


def config_path(environ: Mapping[str, str]) -> Path:
    """CODEGEEX_CONFIG, else config.toml in the user's configuration folder."""
    if chosen := environ.get("CODEGEEX_CONFIG"):
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_config_path("codegeex", appauthor=False) / "config.toml"


def user_text(path: Path) -> str:
    """A file of the user's; nothing where there is none. Raises ConfigurationError."""
    try:
        return reading.configuration(path)
    except FileNotFoundError:
        return ""
    except UnreadableError as error:
        raise ConfigurationError(f"{path} {error}.") from error


def whole_name(model: str, beside: Path) -> str:
    """A model's name as all programs write it, whatever folder they run in: a whole path, or lower
    case for a name."""
    if not is_path(model):
        return model if (beside / model).is_dir() else model.lower()
    try:
        return os.path.normpath(beside / Path(model).expanduser())
    except RuntimeError:  # "~nobody"
        return model


class ConfigurationError(Exception):
    """The file can't be read; str() is one sentence."""


def _with_whole_paths(trusted: TrustedSettings, beside: Path) -> TrustedSettings:
    return replace(
        trusted,
        model=whole_name(trusted.model, beside),
        embedding_model=whole_name(trusted.embedding_model, beside),
    )


def _values(path: Path, *, named: bool) -> tuple[dict[str, Any], list[str]]:
    """A missing file is fine unless it was named."""
    try:
        return reading.toml(path), []
    except FileNotFoundError:
        missing = f"The configuration file {path} named by CODEGEEX_CONFIG does not exist."
        return {}, [missing] if named else []
    except UnreadableError as error:
        return {}, [f"The configuration file {path} {error}; nothing in it is used."]
