"""Which files of a workspace belong to its index, nearest first, and what was left out, counted.

Source files of known languages that a person wrote and that hold no secrets, at most so many and so
large. Symbolic links are not followed, as git doesn't, so there are no loops. Reads only.
"""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from codegeex_lsp.index.ignoring import Ignores
from codegeex_lsp.text import languages

# A walk ends there, whatever it has found: a second or two for each 100,000.
MOST_ENTRIES = 1_000_000
# Nobody writes code in these, ignored or not.
_SKIPPED = frozenset(
    (".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".tox", ".mypy_cache")
)
_SECRET_NAME = re.compile(r"\.env\b.*|(?:secrets?|credentials?|passwords?)(?:\.\w+)*|id_[rd]sa.*")
# A private key, and keys of AWS, GitHub, Slack and Google by their fixed beginnings.
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|xox[abpr]-[\w-]{10}"
    r"|AIza[\w-]{35})"
)
# Minified code has lines of kilobytes, or is one line.
LONGEST_LINE = 5_000
MOST_PER_LINE = 250


class LeftOut(StrEnum):
    """Why something isn't in the index."""

    IGNORED = "ignored"
    LINK = "link"
    LARGE = "large"
    SECRET = "secret"  # noqa: S105
    BINARY = "binary"
    MINIFIED = "minified"
    UNREADABLE = "unreadable"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Files, bytes of one of them, bytes of all together."""

    files: int = 20_000
    file_bytes: int = 512 * 1024
    bytes: int = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it lies on the disk; `stamp` differs once it was written again."""

    path: str
    size: int
    stamp: str


@dataclass(slots=True)
class Walk:
    """One look at all folders. Iterating gives the files; `left_out` grows meanwhile."""

    roots: Sequence[str]
    bounds: Bounds
    stopped: Callable[[], bool] = lambda: False
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    _entries: int = 0

    def __iter__(self) -> Iterator[Found]:
        """Breadth first, by name. Ends early when bounds are reached or it is `stopped`."""
        files = size = 0
        for found in self._files():
            if files >= self.bounds.files or size + found.size > self.bounds.bytes:
                self.left_out[LeftOut.TOO_MANY] += 1
                return
            files, size = files + 1, size + found.size
            yield found

    def _files(self) -> Iterator[Found]:
        waiting = deque((root, Ignores.above(root)) for root in self.roots)
        while waiting:
            folder, ignores = waiting.popleft()
            ignores = ignores.inside(folder)
            for entry in self._listed(folder):
                self._entries += 1
                if self._entries > MOST_ENTRIES:
                    self.left_out[LeftOut.TOO_MANY] += 1
                    return
                if self.stopped():
                    return
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder:
                    found = self._found(entry, ignores)
                    if found is not None:
                        yield found
                elif entry.name not in _SKIPPED:
                    if ignores.leave_out(entry.path, is_folder=True):
                        self.left_out[LeftOut.IGNORED] += 1
                    else:
                        waiting.append((entry.path, ignores))

    def _listed(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            self.left_out[LeftOut.UNREADABLE] += 1
            return []
        named = [entry for entry in listed if _is_text(entry.name)]
        if strange := len(listed) - len(named):
            self.left_out[LeftOut.UNREADABLE] += strange
        return named

    def _found(self, entry: os.DirEntry[str], ignores: Ignores) -> Found | None:
        if languages.of("", entry.name) is None:
            return None
        if entry.is_symlink():
            self.left_out[LeftOut.LINK] += 1
        elif ignores.leave_out(entry.path, is_folder=False):
            self.left_out[LeftOut.IGNORED] += 1
        elif looks_secret(entry.name):
            self.left_out[LeftOut.SECRET] += 1
        elif entry.is_file(follow_symlinks=False):
            return self._measured(entry)
        return None

    def _measured(self, entry: os.DirEntry[str]) -> Found | None:
        try:
            about = entry.stat(follow_symlinks=False)
        except OSError:
            self.left_out[LeftOut.UNREADABLE] += 1
            return None
        if about.st_size > self.bounds.file_bytes:
            self.left_out[LeftOut.LARGE] += 1
            return None
        return Found(entry.path, about.st_size, f"{about.st_mtime_ns}-{about.st_size}")


def belongs(path: str, roots: Sequence[str], bounds: Bounds) -> Found | None:
    """The file at `path` if a Walk would come by it, None otherwise; bounds on all files aside."""
    root = next((root for root in roots if path.startswith(root.rstrip("/\\") + os.sep)), None)
    if root is None or not os.path.lexists(path):
        return None
    ignores = Ignores.above(root)
    folder = root
    walk = Walk(roots, bounds)
    for part in os.path.relpath(path, root).split(os.sep):
        ignores = ignores.inside(folder)
        entry = next((entry for entry in walk._listed(folder) if entry.name == part), None)
        if entry is None:
            return None
        if not entry.is_dir(follow_symlinks=False):
            return walk._found(entry, ignores) if entry.path == path else None
        if part in _SKIPPED or ignores.leave_out(entry.path, is_folder=True):
            return None
        folder = entry.path
    return None


def _is_text(name: str) -> bool:
    """On Linux a name may be any bytes; what isn't UTF-8 can neither be stored nor shown."""
    return name.isascii() or name.encode("utf-8", "replace").decode() == name


def looks_secret(name: str) -> bool:
    """Whether a file of that name is likely to hold keys."""
    return _SECRET_NAME.fullmatch(name.lower()) is not None


def read(found: Found) -> str | LeftOut:
    """The file's text with "\\n" as line ends, or why it isn't taken."""
    try:
        with open(found.path, "rb") as file:
            data = file.read(found.size + 1)
    except OSError:
        return LeftOut.UNREADABLE
    if b"\0" in data:
        return LeftOut.BINARY
    return judged(data.decode("utf-8", "replace"))


def judged(text: str) -> str | LeftOut:
    """The text, or why nobody would want it found."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.count("\n") + 1
    if len(text) > MOST_PER_LINE * (lines + 4) or max(map(len, text.split("\n"))) > LONGEST_LINE:
        return LeftOut.MINIFIED
    return LeftOut.SECRET if _SECRET.search(text) else text
