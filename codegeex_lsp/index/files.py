"""Which files of a workspace belong to its index, nearest first, and what was left out, counted.

Source files of known languages that a person wrote and that no rule leaves out, at most so many and
so large, and without the secrets in them. Symbolic links are not followed, as git doesn't, so there
are no loops. Reads only.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from codegeex_lsp.exclusion import values
from codegeex_lsp.exclusion.ignoring import Ignores
from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.exclusion.rule import Rule, is_environment
from codegeex_lsp.files import reading
from codegeex_lsp.files.reading import Unread, UnreadError
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
# Minified code has lines of kilobytes, or is one line.
LONGEST_LINE = 5_000
MOST_PER_LINE = 250

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

    rule: Rule
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
        waiting = deque((root, Ignores.above(root)) for root in self.rule.roots)
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
        if entry.path in self.rule.roots:
            return False
        why = _left_out(entry.path, self.rule, ignores)
        if why is not None:
            self.left_out[why] += 1
        return why is None

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
            about = entry.stat(follow_symlinks=False)
            found = _met(entry.path, about, self.rule, ignores, self.bounds)
        except OSError:
            found = LeftOut.UNREADABLE
        if isinstance(found, LeftOut):
            self.left_out[found] += 1
            return None
        return found


def belongs(path: str, rule: Rule, bounds: Bounds) -> Found | None:
    """The file at `path` if a Walk would come by it, None otherwise; bounds on all files aside."""
    above = [root for root in rule.roots if path.startswith(root.rstrip("/\\") + os.sep)]
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
            if not is_folder or _left_out(folder, rule, ignores) is not None:
                return None
            ignores = ignores.inside(folder)
        found = _met(path, os.lstat(path), rule, ignores, bounds)
    except OSError:
        return None
    return found if isinstance(found, Found) else None


def _left_out(folder: str, rule: Rule, ignores: Ignores) -> LeftOut | None:
    """Why nothing in a folder is taken."""
    if (why := rule.of_path(folder, is_folder=True)) is not None:
        return why
    if ignores.leave_out(folder, is_folder=True):
        return LeftOut.IGNORED
    return LeftOut.ENVIRONMENT if is_environment(folder) else None


def _met(
    path: str, about: os.stat_result, rule: Rule, ignores: Ignores, bounds: Bounds
) -> Found | LeftOut:
    """What a file is that lies in a folder that isn't left out."""
    if stat.S_ISLNK(about.st_mode):
        return LeftOut.LINK
    if ignores.leave_out(path, is_folder=False):
        return LeftOut.IGNORED
    if (why := rule.of_path(path)) is not None:
        return why
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


def read(found: Found, bounds: Bounds) -> str | LeftOut:
    """The file's text with "\\n" as line ends, or why it isn't taken."""
    try:
        return judged(reading.text(found.path, bounds.file_bytes, links=False))
    except UnreadError as error:
        return _UNREAD.get(error.why, LeftOut.UNREADABLE)


def judged(text: str) -> str | LeftOut:
    """The text without the secrets in it, or why nobody would want it found."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.count("\n") + 1
    if len(text) > MOST_PER_LINE * (lines + 4) or max(map(len, text.split("\n"))) > LONGEST_LINE:
        return LeftOut.MINIFIED
    return values.without(text)
