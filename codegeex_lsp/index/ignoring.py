"""Which paths the user's ignore files leave out: .gitignore, .git/info/exclude, .codegeexignore.

The patterns are the pathspec library's; which of them win is said here, as git has it: a file
further down over one further up, a later line over an earlier one. A folder's .codegeexignore comes
after its .gitignore, so that "!generated.py" takes in again what git leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from codegeex_lsp.index import IGNORE_FILES


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one folder's ignore files."""

    folder: str
    spec: GitIgnoreSpec


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
        exclude = _git_folder(repository) / "info" / "exclude"
        found = cls()._with(str(repository), _lines(exclude))
        folder = repository
        for part in Path(root).relative_to(repository).parts:
            found = found.inside(str(folder))
            folder /= part
            if found.leave_out(str(folder), is_folder=True):
                return cls()
        return found

    def inside(self, folder: str) -> Ignores:
        """With the ignore files that lie in `folder`."""
        lines = [line for name in IGNORE_FILES for line in _lines(Path(folder, name))]
        return self._with(folder, lines)

    def leave_out(self, path: str, *, is_folder: bool) -> bool:
        """Whether `path`, which lies in the folder, is ignored."""
        for rules in reversed(self.rules):
            relative = path[len(rules.folder) :].lstrip("/\\").replace("\\", "/")
            said = rules.spec.check_file(relative + "/" * is_folder).include
            if said is not None:
                return said
        return False

    def _with(self, folder: str, lines: list[str]) -> Ignores:
        if not lines:
            return self
        spec = _spec(lines)
        return Ignores((*self.rules, _Rules(folder, spec))) if _says_anything(spec) else self


def _spec(lines: list[str]) -> GitIgnoreSpec:
    """Lines that are no patterns are passed over, as git does."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])


def _says_anything(spec: GitIgnoreSpec) -> bool:
    """A file of comments would only cost time."""
    return any(pattern.include is not None for pattern in spec.patterns)


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _repository(folder: Path) -> Path | None:
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)


def _git_folder(repository: Path) -> Path:
    """The repository's own folder; a worktree's .git is a file that names another folder."""
    git = repository / ".git"
    named = next((line for line in _lines(git) if line.startswith("gitdir:")), "")
    if not named:
        return git
    worktree = repository / named.removeprefix("gitdir:").strip()
    common = next(iter(_lines(worktree / "commondir")), ".")
    return worktree / common


def _lines(path: Path) -> list[str]:
    """None of them where there is no such file, or it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
