"""All settings, in one table: what the editor may set, and what only the user's own file may.

The fields of the dataclasses are the table; scripts/settings_reference.py describes them to people
and editors. A workspace can bring its own editor settings, so nothing in `Settings` names a
program, a model or an address; those are in `TrustedSettings`. Bad values never raise: the old
value stays and one sentence says so.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

PREFIX = "codegeex"

# Sections under the same prefix that belong to the editors' extensions and not to the server.
EXTENSION_SECTIONS = frozenset({"server", "interpreter", "trace"})


class Placement(StrEnum):
    """Where a translation goes."""

    REPLACE = "replace"
    COMMENT = "comment"
    BESIDE = "beside"


class Pause(StrEnum):
    """Whether an automatic request waits for the next keystroke of a burst."""

    ADAPTIVE = "adaptive"
    OFF = "off"


class Quantize(StrEnum):
    """How the runtime keeps a model that is stored in float."""

    NONE = ""
    INT8 = "int8"
    INT4 = "int4"
    NF4 = "nf4"
    LLM_INT8 = "llm.int8"


def _setting(
    default: Any,
    text: str,
    minimum: float | None = None,
    maximum: float | None = None,
    environment: str = "",
) -> Any:
    about = {
        "text": text,
        "minimum": minimum,
        "maximum": maximum,
        "environment": environment,
        "may_be_empty": default == "",
    }
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    automatic: bool = _setting(
        True, "Suggest while typing. When off, suggestions come only when you ask for them."
    )
    max_lines: int = _setting(8, "Most lines of one suggestion; 0 means no limit.", 0, 200)
    max_candidates: int = _setting(3, "How many suggestions to make when you ask for them.", 1, 5)
    max_new_tokens: int = _setting(
        64, "Most tokens of one suggestion; a token is about four characters.", 1, 1024
    )
    temperature: float = _setting(
        0.8, "How varied the second and further suggestions are; the first never varies.", 0, 2
    )
    top_p: float = _setting(
        0.95, "Share of the likeliest tokens that further suggestions choose from.", 0, 1
    )
    pause: Pause = _setting(  # noqa: RUF009  (an enum member is as immutable as a number)
        Pause.ADAPTIVE,
        "Wait up to 75 ms for the next keystroke while you type fast, or never.",
    )
    minimum_confidence: float | None = _setting(
        None,
        "Hide suggestions whose tokens the model found less probable than this on average; 0 shows "
        "all, null leaves it to the model and shows all that you ask for.",
        0,
        1,
    )
    disabled_languages: tuple[str, ...] = _setting(
        (), 'Languages without suggestions, such as "markdown" or "Python".'
    )
    max_file_size: int = _setting(
        4 * 1024 * 1024, "Largest file with suggestions, in characters.", 1024, 64 * 1024 * 1024
    )


@dataclass(frozen=True, slots=True)
class ActionSettings:
    target_languages: tuple[str, ...] = _setting(
        ("Python", "C++", "Java", "JavaScript", "Go"),
        "Languages that the menu offers to translate to; the first is meant where none is named.",
    )
    placement: Placement = _setting(  # noqa: RUF009  (an enum member is as immutable as a number)
        Placement.COMMENT,
        "A translation replaces the code, goes below it and makes it a comment, or opens beside.",
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    enabled: bool = _setting(
        True, "Index the workspace's code for search and for better suggestions."
    )
    max_files: int = _setting(20_000, "Most files in the index.", 1, 1_000_000)
    max_file_size: int = _setting(
        512 * 1024, "Largest file in the index, in bytes.", 1024, 16 * 1024 * 1024
    )
    max_size: int = _setting(
        128 * 1024 * 1024,
        "Most bytes of code in the index; its database is about twice as large.",
        1024,
        4 * 1024**3,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What the editor's settings under `codegeex.` say."""

    enabled: bool = _setting(True, "Turn CodeGeeX on or off.")
    exclude: tuple[str, ...] = _setting(
        (),
        'Files and folders to leave out everywhere, as globs such as "**/*.pem" or "vault"; beside '
        "them, files with secrets and ignored ones are left out anyway.",
    )
    completion: CompletionSettings = CompletionSettings()
    actions: ActionSettings = ActionSettings()
    index: IndexSettings = IndexSettings()


@dataclass(frozen=True, slots=True)
class TrustedSettings:
    """What only the user's configuration file and environment may say."""

    model: str = _setting(
        "codegeex-nano",
        "The model's name, or a folder that holds one.",
        environment="CODEGEEX_MODEL",
    )
    device: str = _setting(
        "auto",
        'Where the model runs: "auto", "cpu", "cuda" or "npu".',
        environment="CODEGEEX_DEVICE",
    )
    idle_exit_s: int = _setting(
        600, "Seconds without an editor after which the model's process ends.", 1, 30 * 86400
    )
    quantize: Quantize = _setting(  # noqa: RUF009  (as above)
        Quantize.NONE,
        "Keep a model that is stored in float16 smaller in memory; empty keeps it as it is.",
        environment="CODEGEEX_QUANTIZE",
    )
    embedding_model: str = _setting(
        "",
        "A second model for search by meaning: codet5p-110m-embedding, or the folder of a T5 "
        "encoder; empty for none.",
        environment="CODEGEEX_EMBEDDING_MODEL",
    )
    template_folder: str = _setting(
        "templates",
        "The folder of your prompt templates, one file each; beside the configuration file unless "
        "it is a whole path.",
    )
    exclude: tuple[str, ...] = _setting(
        (),
        "As `codegeex.exclude`, for all editors and projects: no project's settings take it back.",
    )


# --- reading ------------------------------------------------------------------------------------

Group = TypeVar(
    "Group", Settings, CompletionSettings, ActionSettings, IndexSettings, TrustedSettings
)

# Deep enough for every name there is; a deeper value is left whole and found wrong.
_DEPTH = 3


def from_client(raw: object, base: Settings) -> tuple[Settings, list[str]]:
    """`base` changed by what an editor sent, and one sentence for each thing that can't be used.

    Takes the section itself or an object that holds it under "codegeex", nested or with dotted keys
    ("codegeex.completion.automatic"). None means that the editor has nothing to say, and so does an
    empty list, which is how Lua's empty table arrives.
    """
    opened = _opened(raw, _DEPTH) if isinstance(raw, Mapping) else raw
    section = opened.get(PREFIX, opened) if isinstance(opened, dict) else opened
    if section is None or section == []:
        return base, []
    if not isinstance(section, dict):
        return base, [_not_an_object(PREFIX)]
    both = {one.name for one in dataclasses.fields(Settings)}
    trusted = {
        camel(one.name): one for one in dataclasses.fields(TrustedSettings) if one.name not in both
    }
    problems = [_not_from_editor(trusted[key]) for key in section if key in trusted]
    allowed = {
        key: value
        for key, value in section.items()
        if key not in trusted and key not in EXTENSION_SECTIONS
    }
    return _merged(base, allowed, f"{PREFIX}.", camel, problems), problems


def load_trusted(environ: Mapping[str, str]) -> tuple[TrustedSettings, list[str]]:
    """The configuration file's settings, those of the environment over them, and what was wrong."""
    values, problems = _read_toml(config_path(environ), named=bool(environ.get("CODEGEEX_CONFIG")))
    trusted = _merged(TrustedSettings(), values, "", str, problems)
    named = {
        one.name: value
        for one in dataclasses.fields(TrustedSettings)
        if (value := environ.get(one.metadata["environment"]))
    }
    return _merged(trusted, named, "", str, problems), problems


def config_path(environ: Mapping[str, str]) -> Path:
    """CODEGEEX_CONFIG, else config.toml in the user's configuration folder."""
    if chosen := environ.get("CODEGEEX_CONFIG"):
        return Path(chosen)
    return platformdirs.user_config_path(PREFIX, appauthor=False) / "config.toml"


def _read_toml(path: Path, *, named: bool) -> tuple[dict[str, Any], list[str]]:
    """The only place where this module reads a file. A missing one is fine unless it was named."""
    try:
        return tomllib.loads(path.read_text("utf-8")), []
    except FileNotFoundError:
        missing = f"The configuration file {path} named by CODEGEEX_CONFIG does not exist."
        return {}, [missing] if named else []
    except OSError as error:
        return {}, [f"The configuration file {path} can't be read: {error.strerror}."]
    except ValueError as error:
        return {}, [f"The configuration file {path} is not valid TOML and is not used: {error}."]


def _opened(raw: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    """The tree with dotted keys opened: {"a.b": 1, "a": {"c": 2}} is {"a": {"b": 1, "c": 2}}."""
    tree: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping) and depth:
            value = _opened(value, depth - 1)
        for part in reversed(str(key).split(".")[1:]):
            value = {part: value}
        _join(tree, {str(key).partition(".")[0]: value})
    return tree


def _join(tree: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _join(tree[key], value)
        else:
            tree[key] = value


def _merged(
    base: Group,
    values: Mapping[str, Any],
    path: str,
    spelled: Callable[[str], str],
    problems: list[str],
) -> Group:
    """`base` with the good ones of `values`, whose keys are the fields' names as `spelled`."""
    known = {spelled(one.name): one for one in dataclasses.fields(base)}
    hints = typing.get_type_hints(type(base))
    changes: dict[str, Any] = {}
    for key, value in values.items():
        name = path + _shown(key)
        if (one := known.get(key)) is None:
            problems.append(f'There is no setting "{name}"; remove it or correct its name.')
            continue
        current = getattr(base, one.name)
        if not dataclasses.is_dataclass(current):
            changes[one.name] = _checked(one, hints[one.name], value, current, name, problems)
        elif isinstance(value, Mapping):
            group: Any = current
            changes[one.name] = _merged(group, value, f"{name}.", spelled, problems)
        elif value != []:
            problems.append(_not_an_object(name))
    return replace(base, **changes)


def _checked(
    one: dataclasses.Field[Any],
    hint: Any,
    value: object,
    current: object,
    name: str,
    problems: list[str],
) -> object:
    """The value as the field's type has it, or `current` and a sentence."""
    try:
        return _read(hint, value, one.metadata)
    except ValueError:
        wanted = words(hint, one.metadata)
        problems.append(f'The setting "{name}" must be {wanted}; {json.dumps(current)} stays.')
        return current


def _read(hint: Any, value: object, about: Mapping[str, Any]) -> object:
    """The value as `hint` has it; ValueError when it isn't one of its values."""
    if hint in (int, float, float | None):
        return _read_number(hint, value, about)
    if hint == tuple[str, ...] and isinstance(value, list):
        return tuple(_read(str, item, about) for item in value)
    if hint is str and isinstance(value, str) and (value.strip() or about["may_be_empty"]):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if isinstance(value, str) and isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    raise ValueError


def _read_number(hint: Any, value: object, about: Mapping[str, Any]) -> int | float | None:
    if value is None and hint == float | None:
        return None
    # A bool is an int to isinstance(); a NaN is inside no range.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not about["minimum"] <= value <= about["maximum"]:
        raise ValueError
    if hint is int and value != int(value):
        raise ValueError
    # Some editors have one kind of number only and send 3 as 3.0.
    return int(value) if hint is int else float(value)


def _not_an_object(name: str) -> str:
    return f'The settings under "{name}" must be an object; those from before stay.'


def _not_from_editor(one: dataclasses.Field[Any]) -> str:
    variable = one.metadata["environment"]
    return (
        f'The setting "{PREFIX}.{camel(one.name)}" is ignored, since a project could bring it '
        f'along; set "{one.name}" in your own configuration file config.toml'
        + (f" or the variable {variable}." if variable else ".")
    )


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _shown(key: str) -> str:
    """A key from outside, short enough for a sentence."""
    return key if len(key) <= 60 else f"{key[:57]}..."


NOUNS: dict[Any, tuple[str, dict[str, Any]]] = {
    bool: ("true or false", {"type": "boolean"}),
    int: ("a whole number", {"type": "integer"}),
    float: ("a number", {"type": "number"}),
    float | None: ("null or a number", {"type": ["number", "null"]}),
    str: ("a text", {"type": "string"}),
    tuple[str, ...]: ("a list of texts", {"type": "array", "items": {"type": "string"}}),
}


def words(hint: Any, about: Mapping[str, Any]) -> str:
    if hint not in NOUNS:
        return " or ".join(json.dumps(choice.value) for choice in hint)
    noun, _ = NOUNS[hint]
    limits = f" from {about['minimum']} to {about['maximum']}"
    return noun if about["minimum"] is None else noun + limits
