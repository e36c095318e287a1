"""The named places the corpus is made of, and how a package is fetched from each.

Wheels come from folders (pip's own, unless others are given). Debian sources and npm packages are
the short lists of sources.toml, fetched with apt-get and npm once and kept unpacked in a cache
folder; one that can't be had is said and left out, so that the corpus can be made without a
network.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlparse

from curation import packages
from curation.packages import Package

NAMED = tomllib.loads((Path(__file__).parents[1] / "sources.toml").read_text(encoding="utf-8"))
FETCH_SECONDS = 300


def named(origin: str) -> dict[str, str]:
    """The set, by name, of each package that is fetched from "debian" or "npm"."""
    return {name: use for use, names in NAMED[origin].items() for name in names}


def wheels(folders: list[Path]) -> Iterator[Package]:
    """The newest file of each name in the folders; those with a permissive licence."""
    newest: dict[str, Path] = {}
    for path in sorted(wheel for folder in folders for wheel in folder.rglob("*.whl")):
        newest[path.name.partition("-")[0].lower()] = path
    for path in newest.values():
        if package := packages.from_wheel(path):
            yield package


def pip_folders() -> list[Path]:
    """The local folders that pip is configured to install from."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    places = [place for line in listed.splitlines() for place in _places(line)]
    # A local index ("simple") holds links; the files are beside it.
    folders = [place.parent if place.name == "simple" else place for place in places]
    return [folder for folder in folders if folder.is_dir()]


def _places(line: str) -> list[Path]:
    key, _, value = line.partition("=")
    if key.rpartition(".")[2] not in ("find-links", "index-url", "extra-index-url"):
        return []
    words = value.strip("'\" \n").replace("\\n", " ").split()
    urls = [urlparse(word) for word in words]
    return [Path(unquote(url.path)) for url in urls if url.scheme in ("", "file")]


def npm(cache: Path) -> Iterator[Package]:
    for name in named("npm"):
        folder = cache / "npm" / name.strip("@").replace("/", "-")
        if _had(folder, name, partial(_fetch_npm, name)) and (package := packages.from_npm(folder)):
            yield package


def debian(cache: Path) -> Iterator[Package]:
    """Rust's crates inside cargo's source are packages of their own, with their own licences."""
    for name in named("debian"):
        folder = cache / "debian" / name
        if not _had(folder, name, partial(_fetch_debian, name)):
            continue
        if package := packages.from_debian(name, _debian_version(folder), folder):
            yield package
        for crate in sorted((folder / "vendor").glob("*/Cargo.toml")):
            if package := packages.from_crate(crate.parent):
                yield package


def _had(folder: Path, name: str, fetch: Callable[[Path], None]) -> bool:
    """Whether the package lies unpacked in the folder, if need be after fetching it."""
    if folder.is_dir():
        return True
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch(folder)
    except (OSError, subprocess.SubprocessError, tarfile.TarError):
        print(f"corpus: {name} can't be fetched and is left out.", file=sys.stderr)
    return folder.is_dir()


def _fetch_npm(name: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _run(["npm", "pack", "--silent", name], Path(scratch))
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
            archive.extractall(scratch, filter="data")
        (Path(scratch) / "package").rename(folder)


def _fetch_debian(name: str, folder: Path) -> None:
    """apt-get's source lists name binary packages only as a rule: a list of sources is made."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch_name:
        scratch = Path(scratch_name)
        apt = ["apt-get", "-qq", *_source_lists(folder.parent / "lists")]
        _run([*apt, "source", "--download-only", name], scratch)
        description = next(scratch.glob("*.dsc"))
        unpack = ["dpkg-source", "--no-check", "--skip-patches", "-x", description.name, "tree"]
        _run(unpack, scratch)
        (scratch / "tree").rename(folder)


def _source_lists(lists: Path) -> list[str]:
    """apt-get's options for an index of source packages of its own."""
    options = [
        "-oDir::Etc::sourcelist=/dev/null",
        f"-oDir::Etc::sourceparts={lists / 'parts'}",
        f"-oDir::State::lists={lists / 'state'}",
    ]
    if not lists.is_dir():
        (lists / "parts").mkdir(parents=True)
        (lists / "state" / "partial").mkdir(parents=True)
        entry = Path("/etc/apt/sources.list.d/debian.sources").read_text(encoding="utf-8")
        first = entry.strip().split("\n\n")[0].replace("Types: deb", "Types: deb-src")
        (lists / "parts" / "debian.sources").write_text(first + "\n", encoding="utf-8")
        _run(["apt-get", "-qq", *options, "update"], lists)
    return options


def _debian_version(folder: Path) -> str:
    with (folder / "debian" / "changelog").open(encoding="utf-8", errors="replace") as changelog:
        return changelog.readline().partition("(")[2].partition(")")[0]


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_SECONDS)
