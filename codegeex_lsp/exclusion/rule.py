"""The one rule that says why a file is left out of all that other documents get to know.

By its path alone: it is called as files with secrets are, lies in a folder that a program has
filled, or the user's globs name it. By what lies on the disk around it: a mark of an environment,
an ignore file. A link is judged by what it is called and by what it leads to. What stands in a text
is values.py's. Asked by the index's process and, in a thread, for each open document.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from codegeex_lsp.exclusion import ignoring, names
from codegeex_lsp.exclusion.globs import Globs
from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.files.folders import real

NO_GLOBS = Globs(())


@dataclass(frozen=True, slots=True)
class Rule:
    """`roots` are the workspace's folders, `excluded` the user's globs.

    What holds for a folder that was opened itself is not asked: it was opened on purpose.
    """

    roots: tuple[str, ...] = ()
    excluded: Globs = NO_GLOBS

    def of_path(self, path: str, *, is_folder: bool = False) -> LeftOut | None:
        """By the path alone, which need not be absolute; reads nothing."""
        inside = self._inside(path)
        if not is_folder and names.is_secret(path):
            return LeftOut.SECRET
        if not names.FOLDERS.isdisjoint(inside if is_folder else inside[:-1]):
            return LeftOut.ENVIRONMENT
        named = self.excluded.name(path, inside, is_folder=is_folder)
        return LeftOut.EXCLUDED if named else None

    def of_file(self, path: str) -> LeftOut | None:
        """Also by what lies around it on the disk."""
        return self._of_file(path) or (
            self._of_file(place) if (place := real(path)) != path else None
        )

    def _of_file(self, path: str) -> LeftOut | None:
        if (why := self.of_path(path)) is not None:
            return why
        root = self._root(path)
        folder = os.path.dirname(path)
        while len(folder) > len(root) and folder != os.path.dirname(folder):
            if is_environment(folder):
                return LeftOut.ENVIRONMENT
            folder = os.path.dirname(folder)
        return LeftOut.IGNORED if ignoring.ignored(path, root) else None

    def _inside(self, path: str) -> list[str]:
        """The parts of the path below its root."""
        below = path[len(self._root(path)) :].replace("\\", "/")
        return [part for part in below.split("/") if part]

    def _root(self, path: str) -> str:
        """The innermost of the roots that the path lies in; "" for none."""
        holding = (root for root in self.roots if path.startswith(root.rstrip("/\\") + os.sep))
        return max(holding, key=len, default="")


def is_environment(folder: str) -> bool:
    """Whether a program has made the folder, by a mark that it put there."""
    return any(os.path.lexists(os.path.join(folder, mark)) for mark in names.MARKS)
