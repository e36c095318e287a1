"""Which files of a workspace belong to its index, nearest first, and what was left out, counted.

Source files of known languages that a person wrote and that hold no secrets, at most so many and so
large. Symbolic links are not followed, as git doesn't, so there are no loops. Reads only.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from codegeex_lsp.files import reading
from codegeex_lsp.files.reading import Unread, UnreadError
from codegeex_lsp.index.ignoring import Ignores
from codegeex_lsp.text import languages

# A walk ends there, whatever it has found: a second or two for each 100,000.
MOST_ENTRIES = 1_000_000
# These bound what a walk holds in memory, however a workspace is made: source files and folders of
# one folder, folders to be looked at, the length of a path, and of the ignore files together. The
# time that patterns take grows with the depth.
MOST_OF_FOLDER = MOST_WAITING = 50_000
LONGEST_PATH, DEEPEST = 1_000, 100
MOST_RULES = 1024 * 1024
# So often, counted in entries, a walk asks whether it is stopped where nothing is taken.
LOOK_UP_EVERY = 500
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


_UNREAD = {Unread.LARGE: LeftOut.LARGE, Unread.NO_TEXT: LeftOut.BINARY}


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
        rules = 0
        while waiting and self._entries <= MOST_ENTRIES:
            folder, above = waiting.popleft()
            ignores = above.inside(folder)
            if ignores is not above:
                rules += ignores.rules[-1].size
                if rules > MOST_RULES:
                    self.left_out[LeftOut.UNREADABLE] += 1
                    continue
            for entry in self._listed(folder):
                if self.stopped():
                    return
                if not entry.is_dir(follow_symlinks=False):
                    found = self._found(entry, ignores)
                    if found is not None:
                        yield found
                elif self._goes_into(entry, ignores):
                    if len(waiting) < MOST_WAITING:
                        waiting.append((entry.path, ignores))
                    else:
                        self.left_out[LeftOut.TOO_MANY] += 1

    def _goes_into(self, entry: os.DirEntry[str], ignores: Ignores) -> bool:
        """A root inside another is looked at as a root."""
        if entry.name in _SKIPPED or entry.path in self.roots:
            return False
        if ignores.leave_out(entry.path, is_folder=True):
            self.left_out[LeftOut.IGNORED] += 1
            return False
        return True

    def _listed(self, folder: str) -> list[os.DirEntry[str]]:
        """The folders in it and the files of known languages, by name."""
        listed: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES or len(listed) == MOST_OF_FOLDER:
                        self.left_out[LeftOut.TOO_MANY] += 1
                        break
                    if self._entries % LOOK_UP_EVERY == 0 and self.stopped():
                        break
                    if entry.is_dir(follow_symlinks=False) or languages.of("", entry.name):
                        listed.append(entry)
        except OSError:
            self.left_out[LeftOut.UNREADABLE] += 1
        named = [one for one in listed if _can_be_named(one.path)]
        if strange := len(listed) - len(named):
            self.left_out[LeftOut.UNREADABLE] += strange
        return sorted(named, key=lambda entry: entry.name)

    def _found(self, entry: os.DirEntry[str], ignores: Ignores) -> Found | None:
        try:
            found = _met(entry.path, entry.stat(follow_symlinks=False), ignores, self.bounds)
        except OSError:
            found = LeftOut.UNREADABLE
        if isinstance(found, LeftOut):
            self.left_out[found] += 1
            return None
        return found


def belongs(path: str, roots: Sequence[str], bounds: Bounds) -> Found | None:
    """The file at `path` if a Walk would come by it, None otherwise; bounds on all files aside."""
    above = [root for root in roots if path.startswith(root.rstrip("/\\") + os.sep)]
    if not above or not _can_be_named(path):
        return None
    folder = max(above, key=len)
    *parts, name = os.path.relpath(path, folder).split(os.sep)
    if languages.of("", name) is None:
        return None
    ignores = Ignores.above(folder).inside(folder)
    try:
        for part in parts:
            folder = os.path.join(folder, part)
            is_folder = stat.S_ISDIR(os.lstat(folder).st_mode)
            if not is_folder or part in _SKIPPED or ignores.leave_out(folder, is_folder=True):
                return None
            ignores = ignores.inside(folder)
        found = _met(path, os.lstat(path), ignores, bounds)
    except OSError:
        return None
    return found if isinstance(found, Found) else None


def _met(path: str, about: os.stat_result, ignores: Ignores, bounds: Bounds) -> Found | LeftOut:
    """What a file is that lies in a folder that isn't left out."""
    if stat.S_ISLNK(about.st_mode):
        return LeftOut.LINK
    if ignores.leave_out(path, is_folder=False):
        return LeftOut.IGNORED
    if looks_secret(os.path.basename(path)):
        return LeftOut.SECRET
    if not stat.S_ISREG(about.st_mode):
        return LeftOut.UNREADABLE
    if about.st_size > bounds.file_bytes:
        return LeftOut.LARGE
    return Found(path, about.st_size, f"{about.st_mtime_ns}-{about.st_size}")


def _can_be_named(path: str) -> bool:
    """On Linux a name may be any bytes; what isn't UTF-8 can neither be stored nor shown."""
    if len(path) > LONGEST_PATH or path.count(os.sep) > DEEPEST:
        return False
    return path.isascii() or path.encode("utf-8", "replace").decode() == path


def looks_secret(name: str) -> bool:
    """Whether a file of that name is likely to hold keys."""
    return _SECRET_NAME.fullmatch(name.lower()) is not None


def read(found: Found, bounds: Bounds) -> str | LeftOut:
    """The file's text with "\\n" as line ends, or why it isn't taken."""
    try:
        return judged(reading.text(found.path, bounds.file_bytes, links=False))
    except UnreadError as error:
        return _UNREAD.get(error.why, LeftOut.UNREADABLE)


def judged(text: str) -> str | LeftOut:
    """The text, or why nobody would want it found."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.count("\n") + 1
    if len(text) > MOST_PER_LINE * (lines + 4) or max(map(len, text.split("\n"))) > LONGEST_LINE:
        return LeftOut.MINIFIED
    return LeftOut.SECRET if _SECRET.search(text) else text
