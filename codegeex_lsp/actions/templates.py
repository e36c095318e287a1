"""The user's prompt templates: files in a folder that only the user's own settings name.

Nothing is kept: a listing reads the folder, a use reads the file, so what was edited holds at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from codegeex_lsp.actions.plan import Refusal
from codegeex_lsp.actions.template import Template
from codegeex_lsp.files import reading
from codegeex_lsp.files.reading import UnreadError
from model_runtime.wire.configuration import TrustedSettings, config_path

SUFFIXES = ("", ".txt", ".md", ".prompt")
MAX_BYTES = 64 * 1024


def folder(trusted: TrustedSettings, environ: Mapping[str, str]) -> Path:
    """A relative name means beside the configuration file."""
    return config_path(environ).parent / Path(trusted.template_folder).expanduser()


def names(place: Path) -> list[str]:
    """The templates in `place`, in order; none when it can't be read."""
    return sorted(_files(place))


def read(place: Path, name: str) -> Template:
    """Raises Refusal when there is no such template or its file is of no use."""
    files = _files(place)
    if name not in files:
        known = ", ".join(sorted(files)) or "none"
        raise Refusal(f'There is no template "{name:.60}" in {place}; there are: {known}.')
    path = files[name]
    try:
        text = reading.text(path, MAX_BYTES, links=True)
    except UnreadError as error:
        raise Refusal(f"The template {path} {error}.") from None
    if not text.strip():
        raise Refusal(f"The template {path} is empty.")
    return Template(name, text)


def _files(place: Path) -> dict[str, Path]:
    """Path by name. Of two files that differ in the suffix the first by name counts."""
    found: dict[str, Path] = {}
    try:
        with os.scandir(place) as entries:
            paths = sorted(Path(entry.path) for entry in entries if not entry.is_dir())
    except OSError:
        return {}
    for path in paths:
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, path)
    return found
