"""Places in files of held-out packages where a completion is asked for, chosen by a seed.

A folder of held-out text is FOLDER/language/package/path. At a cursor the rest of its line is taken
out: that is the gold text. Half of the cursors stand after the indentation of a line, half in the
middle of one; two fifths are in Python, the rest is shared evenly by the other languages.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("Python", "C", "C++", "Go", "Java", "JavaScript", "Rust", "TypeScript")
PYTHON_SHARE = 0.4
# What the completer sends of a long file when a model copies first: three quarters before.
MAX_BEFORE, MAX_AFTER = 30_000, 10_000
# Shorter files say little of the package; longer ones are data.
SMALLEST, LARGEST = 1_000, 200_000
# A package's other files that are taken to be open in the editor.
OPEN_FILES = 20


@dataclass(frozen=True)
class Cursor:
    """`gold` is the rest of the line. `others` are files of the same package by path."""

    language: str
    path: Path
    prefix: str
    gold: str
    suffix: str
    at_line_start: bool
    others: tuple[Path, ...]

    @property
    def request_texts(self) -> tuple[str, str]:
        """As much of prefix and suffix as the language server sends."""
        return self.prefix[-MAX_BEFORE:], self.suffix[:MAX_AFTER]


def choose(folder: Path, count: int, seed: int) -> list[Cursor]:
    """`count` cursors. Raises SystemExit when the folder holds no such text."""
    chosen = random.Random(seed)
    languages = {name: folder / name for name in LANGUAGES if (folder / name).is_dir()}
    if not languages:
        raise SystemExit(f"{folder} holds no folders of languages; scripts/nano/corpus makes them.")
    cursors = []
    for language, number in _numbers(sorted(languages), count).items():
        cursors += list(_cursors(language, languages[language], number, chosen))
    return cursors


def _numbers(languages: list[str], count: int) -> dict[str, int]:
    others = [language for language in languages if language != "Python"]
    python = 0 if "Python" not in languages else count
    if python and others:
        python = round(count * PYTHON_SHARE)
    numbers = {"Python": python} if python else {}
    for index, language in enumerate(others):
        left = count - python
        numbers[language] = left * (index + 1) // len(others) - left * index // len(others)
    return numbers


def _cursors(language: str, folder: Path, count: int, chosen: random.Random) -> Iterator[Cursor]:
    packages = {
        package: files
        for package in sorted(folder.iterdir())
        if package.is_dir() and (files := _files(package))
    }
    if not packages:
        return
    made = 0
    while made < count:
        package = chosen.choice(sorted(packages))
        path = chosen.choice(packages[package])
        cursor = _cursor(language, path, packages[package], chosen, at_line_start=made % 2 == 0)
        if cursor is not None:
            made += 1
            yield cursor


def _files(package: Path) -> list[Path]:
    return [
        path
        for path in sorted(package.rglob("*"))
        if path.is_file() and SMALLEST <= path.stat().st_size <= LARGEST
    ]


def _cursor(
    language: str, path: Path, files: list[Path], chosen: random.Random, *, at_line_start: bool
) -> Cursor | None:
    """One at a random line of the file, or None where that line has too little in it."""
    lines = read(path).split("\n")
    index = chosen.randrange(len(lines))
    line = lines[index].rstrip()
    code = line.lstrip()
    if len(code) < 4 or len(line) > 200:
        return None
    column = len(line) - len(code)
    if not at_line_start:
        column += chosen.randrange(1, len(code) - 1)
    gold = line[column:]
    prefix = "\n".join([*lines[:index], line[:column]])
    suffix = "\n".join(["", *lines[index + 1 :]])
    return Cursor(
        language,
        path,
        prefix,
        gold,
        suffix,
        at_line_start,
        _neighbours(path, files, chosen),
    )


def _neighbours(path: Path, files: list[Path], chosen: random.Random) -> tuple[Path, ...]:
    """What else is open: files of the same folder first, then others of the package."""
    others = [file for file in files if file != path]
    chosen.shuffle(others)
    others.sort(key=lambda file: file.parent != path.parent)
    return tuple(others[:OPEN_FILES])


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
