"""Settings as a table: the fields of a dataclass, each with its text, limits and variable.

What people wrote becomes the fields' values. Bad values never raise: the old value stays and one
sentence says so, with what would be right. It knows no setting; configuration.py and the language
server's settings.py have the tables.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Any, TypeVar

Group = TypeVar("Group", bound=Any)


def setting(
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


def merged(
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
            changes[one.name] = merged(group, value, f"{name}.", spelled, problems)
        elif value != []:
            problems.append(not_an_object(name))
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
        if "\0" in value:  # no program takes one in an argument
            raise ValueError
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


def not_an_object(name: str) -> str:
    return f'The settings under "{name}" must be an object; those from before stay.'


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
