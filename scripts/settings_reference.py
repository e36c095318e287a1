#!/usr/bin/env python3
"""Writes docs/settings.md; scripts/editors/vscode_settings takes the schema from here.

    .venv/bin/python scripts/settings_reference.py

Generated from the dataclasses of settings.py, which hold every text; nothing here runs in the
server. A test holds the page against it.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from codegeex_lsp.config.settings import PREFIX, Settings, camel
from model_runtime.wire.configuration import TrustedSettings
from model_runtime.wire.settings_table import NOUNS, words

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


def schema() -> dict[str, Any]:
    """The editor's settings as VS Code's `contributes.configuration`, a JSON schema."""
    return {
        "title": "CodeGeeX",
        "type": "object",
        "properties": {
            name: _kind_schema(hint, one.metadata)
            | {"default": one.default, "description": one.metadata["text"]}
            for name, hint, one in _rows(Settings, f"{PREFIX}.", camel)
        },
    }


def page() -> str:
    """docs/settings.md."""
    return (
        "# Settings\n\n"
        "Written by `scripts/settings_reference.py` from `codegeex_lsp/config/settings.py`.\n\n"
        "## From the editor\n\n"
        "At start (`initializationOptions`) or while it runs:\n\n"
        f"{_table(_rows(Settings, f'{PREFIX}.', camel))}\n"
        "## From config.toml\n\n"
        "From `config.toml` in your configuration folder (`~/.config/codegeex` on Linux) or the\n"
        "environment only, because a project could bring editor settings along:\n\n"
        f"{_table(_rows(TrustedSettings, '', str))}"
    )


def _rows(
    group: type, path: str, spelled: Callable[[str], str]
) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    """Name, type and field of every setting, groups opened."""
    hints = typing.get_type_hints(group)
    for one in dataclasses.fields(group):
        name = path + spelled(one.name)
        if dataclasses.is_dataclass(hint := hints[one.name]):
            yield from _rows(typing.cast(type, hint), f"{name}.", spelled)
        else:
            yield name, hint, one


def _table(rows: Iterator[tuple[str, Any, dataclasses.Field[Any]]]) -> str:
    lines = ["| Setting | Value | Default | Meaning |", "|---|---|---|---|"]
    for name, hint, one in rows:
        text = one.metadata["text"]
        if variable := one.metadata["environment"]:
            text += f" The variable `{variable}` comes first."
        value = words(hint, one.metadata)
        lines.append(f"| `{name}` | {value} | `{json.dumps(one.default)}` | {text} |")
    return "\n".join(lines) + "\n"


def _kind_schema(hint: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    if hint not in NOUNS:
        return {"type": "string", "enum": [choice.value for choice in hint]}
    limits = {key: about[key] for key in ("minimum", "maximum") if about[key] is not None}
    return NOUNS[hint][1] | limits


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
