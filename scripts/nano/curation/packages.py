"""Packages of source code: their name, version, licence and files, wherever they come from.

Wheels are read in place; what was unpacked from npm, Debian or a crate is a folder. A package
without a permissive licence never becomes one of these. It fetches nothing: sources.py does.
"""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

from curation import licences


@dataclass(frozen=True, slots=True)
class Files:
    """A package that is open: sizes in bytes by path, and how to read one of them."""

    sizes: dict[str, int]
    read: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Package:
    """`place` is a wheel or a folder; `allows` says no to single files under another licence."""

    name: str
    version: str
    licence: str
    origin: str
    place: Path
    allows: Callable[[str], bool]

    @contextmanager
    def open(self) -> Iterator[Files]:
        if self.place.is_dir():
            yield Files(_sizes(self.place), lambda path: (self.place / path).read_bytes())
            return
        with zipfile.ZipFile(self.place) as wheel:
            yield Files({i.filename: i.file_size for i in wheel.infolist()}, wheel.read)


def from_wheel(path: Path) -> Package | None:
    """None when the licence isn't permissive or the file is no wheel."""
    try:
        with zipfile.ZipFile(path) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
            metadata = BytesParser().parsebytes(wheel.read(name), headersonly=True)
    except (zipfile.BadZipFile, StopIteration):
        return None
    licence = licences.of_wheel(metadata)
    name = re.sub(r"[-_.]+", "-", str(metadata["Name"])).lower()
    return _package(name, metadata["Version"], licence, "wheel", path)


def from_npm(folder: Path) -> Package | None:
    """A folder with a package.json."""
    described = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    declared = str(described.get("license", ""))
    licence = declared if licences.permissive(declared) else None
    return _package(described["name"], described["version"], licence, "npm", folder)


def from_crate(folder: Path) -> Package | None:
    """A folder with a Cargo.toml."""
    described = tomllib.loads((folder / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    declared = str(described.get("license", ""))
    licence = declared if licences.permissive(declared) else None
    return _package(described["name"], described["version"], licence, "crate", folder)


def from_debian(name: str, version: str, folder: Path) -> Package | None:
    """An unpacked Debian source; its debian/copyright must be machine-readable."""
    text = (folder / "debian" / "copyright").read_text(encoding="utf-8", errors="replace")
    copyright = licences.of_debian(text)
    if copyright is None or copyright.main is None:
        return None
    return Package(name, version, copyright.main, "debian", folder, copyright.allows)


def _package(
    name: str, version: object, licence: str | None, origin: str, place: Path
) -> Package | None:
    if licence is None:
        return None
    return Package(name, str(version), licence, origin, place, lambda path: True)


def _sizes(folder: Path) -> dict[str, int]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
