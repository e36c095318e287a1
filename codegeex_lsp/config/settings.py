"""All settings that an editor may set, in one table.

The dataclasses' fields are the table; scripts/settings_reference.py describes them to people and
editors. A workspace can bring its own editor settings, so nothing in `Settings` names a program, a
model or an address; those are in the user's own file, which the runtime's commands read as well
(model_runtime/wire/configuration.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model_runtime.wire.configuration import TrustedSettings
from model_runtime.wire.settings_table import merged, not_an_object, setting

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


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    automatic: bool = setting(
        True, "Suggest while typing. When off, suggestions come only when you ask for them."
    )
    max_lines: int = setting(8, "Most lines of one suggestion; 0 means no limit.", 0, 200)
    max_candidates: int = setting(3, "How many suggestions to make when you ask for them.", 1, 5)
    max_new_tokens: int = setting(
        64, "Most tokens of one suggestion; a token is about four characters.", 1, 1024
    )
    temperature: float = setting(
        0.8, "How varied the second and further suggestions are; the first never varies.", 0, 2
    )
    top_p: float = setting(
        0.95, "Share of the likeliest tokens that further suggestions choose from.", 0, 1
    )
    pause: Pause = setting(  # noqa: RUF009  (an enum member is as immutable as a number)
        Pause.ADAPTIVE,
        "Wait up to 75 ms for the next keystroke while you type fast, or never.",
    )
    minimum_confidence: float | None = setting(
        None,
        "Hide suggestions whose tokens the model found less probable than this on average; 0 shows "
        "all, null leaves it to the model and shows all that you ask for.",
        0,
        1,
    )
    disabled_languages: tuple[str, ...] = setting(
        (), 'Languages without suggestions, such as "markdown" or "Python".'
    )
    max_file_size: int = setting(
        4 * 1024 * 1024, "Largest file with suggestions, in characters.", 1024, 64 * 1024 * 1024
    )


@dataclass(frozen=True, slots=True)
class ActionSettings:
    target_languages: tuple[str, ...] = setting(
        ("Python", "C++", "Java", "JavaScript", "Go"),
        "Languages that the menu offers to translate to; the first is meant where none is named.",
    )
    placement: Placement = setting(  # noqa: RUF009  (an enum member is as immutable as a number)
        Placement.COMMENT,
        "A translation replaces the code, goes below it and makes it a comment, or opens beside.",
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    enabled: bool = setting(
        True, "Index the workspace's code for search and for better suggestions."
    )
    max_files: int = setting(20_000, "Most files in the index.", 1, 1_000_000)
    max_file_size: int = setting(
        512 * 1024, "Largest file in the index, in bytes.", 1024, 16 * 1024 * 1024
    )
    max_size: int = setting(
        128 * 1024 * 1024,
        "Most bytes of code in the index; its database is about twice as large.",
        1024,
        4 * 1024**3,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What the editor's settings under `codegeex.` say."""

    enabled: bool = setting(True, "Turn CodeGeeX on or off.")
    exclude: tuple[str, ...] = setting(
        (),
        'Files and folders to leave out everywhere, as globs such as "**/*.pem" or "vault"; beside '
        "them, files with secrets and ignored ones are left out anyway.",
    )
    completion: CompletionSettings = CompletionSettings()
    actions: ActionSettings = ActionSettings()
    index: IndexSettings = IndexSettings()


# --- reading ------------------------------------------------------------------------------------

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
        return base, [not_an_object(PREFIX)]
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
    return merged(base, allowed, f"{PREFIX}.", camel, problems), problems


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
