"""Which paths the user's ignore files leave out: .gitignore, .git/info/exclude, .codegeexignore.

What the patterns mean is patterns.py's; which of them win is said here, as git has it: a file
further down over one further up, a later line over an earlier one. A folder's .codegeexignore comes
after its .gitignore, so that "!generated.py" takes in again what git leaves out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from codegeex_lsp.exclusion.names import IGNORE_FILES
from codegeex_lsp.exclusion.patterns import Patterns
from codegeex_lsp.files import reading
from codegeex_lsp.files.reading import Unread, UnreadError

# 64 KiB of the worst patterns take 2.5 s and 35 MiB to prepare; those that people write have a
# hundredth of that.
MOST_BYTES = 64 * 1024
# Of all that hold for one file; past that they may name anything.
MOST_TOGETHER = 4 * MOST_BYTES
_EVERYTHING = b"*"
_NOTHING = b""


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one folder's ignore files, and how long those are."""

    folder: str
    patterns: Patterns
    size: int


@dataclass(frozen=True, slots=True)
class Ignores:
    """What holds inside one folder: the rules of its own and of all folders above it."""

    rules: tuple[_Rules, ...] = ()

    @classmethod
    def above(cls, root: str) -> Ignores:
        """What holds for `root` before its own ignore files: those of its repository above it.

        A folder that its repository ignores was opened on purpose: nothing from above holds then.
        """
        repository = _repository(Path(root))
        if repository is None:
            return cls()
        found, folder = cls(), repository
        for part in Path(root).relative_to(repository).parts:
            found = found.inside(str(folder))
            folder /= part
            if found.leave_out(str(folder), is_folder=True):
                return cls()
        return found

    def inside(self, folder: str) -> Ignores:
        """With the ignore files that lie in `folder`, and its repository's own if it is one."""
        texts = [_exclude(Path(folder)), *(_ignore_file(Path(folder, it)) for it in IGNORE_FILES)]
        patterns = _patterns(*texts)
        if not patterns:
            return self
        rules = _Rules(folder.rstrip("/\\"), patterns, sum(map(len, texts)))
        return Ignores((*self.rules, rules))

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Whether `path`, which lies in the folder, is ignored."""
        for rules in reversed(self.rules):
            relative = os.fsencode(path[len(rules.folder) + 1 :])
            if os.sep != "/":
                relative = relative.replace(b"\\", b"/")
            said = rules.patterns.leave_out(relative, is_folder=is_folder)
            if said is not None:
                return said
        return False


@lru_cache(maxsize=8)
def _patterns(*texts: bytes) -> Patterns:
    """A changed path asks for the same folders as the one before."""
    return Patterns(*texts)


def ignored(path: str, root: str) -> bool:
    """Whether the ignore files in and above `root` leave out the file at `path`, or a folder that
    it lies in. Without a root its repository is meant, or the folder that it lies in."""
    root = root or str(_repository(Path(path).parent) or Path(path).parent)
    folder, ignores = root, Ignores.above(root)
    parts = os.path.relpath(path, root).split(os.sep)
    for number, part in enumerate(parts):
        ignores = ignores.inside(folder)
        if sum(rules.size for rules in ignores.rules) > MOST_TOGETHER:
            return True
        folder = os.path.join(folder, part)
        if ignores.leave_out(folder, is_folder=number < len(parts) - 1):
            return True
    return False


def _repository(folder: Path) -> Path | None:
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one / ".git")), None)


def _exclude(folder: Path) -> bytes:
    """The patterns that only the repository's own folder has."""
    git = folder / ".git"
    if not os.path.lexists(git):
        return _NOTHING
    return _read(_git_folder(git) / "info" / "exclude")


def _git_folder(git: Path) -> Path:
    """The repository's own folder; a worktree's .git is a file that names another folder."""
    named = _read(git).partition(b"\n")[0]
    if not named.startswith(b"gitdir:"):
        return git
    place = os.fsdecode(named.removeprefix(b"gitdir:").strip())
    if place.startswith(("//", "\\\\")):  # another machine, which would get to know us
        return git
    worktree = git.parent / place
    common = _read(worktree / "commondir").partition(b"\n")[0]
    return worktree / os.fsdecode(common.strip())


def _ignore_file(path: Path) -> bytes:
    """As git, a link is none; nor is what else is no file. What can't be read, or is too long, may
    name anything, so everything is left out."""
    return _read(path, _EVERYTHING)


def _read(path: Path, unread: bytes = _NOTHING) -> bytes:
    try:
        return reading.data(path, MOST_BYTES, links=False)
    except UnreadError as error:
        return unread if error.why in (Unread.LARGE, Unread.REFUSED) else _NOTHING
