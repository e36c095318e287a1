"""A workspace's folders: as the editor spells them, and as what they are.

An editor may open a folder by a link and a document of it by its real path, or the other way round,
and one folder twice. What a path is, the disk says (`real`); how the editor would spell it follows
from the folder that it lies in, and no disk is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


def real(path: str) -> str:
    """The path without links; as much of it as is there."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # on Windows, and with a NUL in it
        return path


def _bare(path: str) -> str:
    """Without a separator at its end, unless it is the whole disk."""
    return path.rstrip(os.sep) if os.path.splitdrive(path)[1].strip(os.sep) else path


class Folders:
    """Each once, in the editor's order. Asks the disk when it is made."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(map(_bare, paths))
        self._spelled: dict[str, str] = {}  # by the real path
        for path in self._paths:
            self._spelled.setdefault(real(path), path)

    def __bool__(self) -> bool:
        return bool(self._spelled)

    @property
    def spelled(self) -> tuple[str, ...]:
        return tuple(self._spelled.values())

    @property
    def real(self) -> tuple[str, ...]:
        return tuple(self._spelled)

    def changed(self, added: Iterable[str], removed: Iterable[str]) -> Folders:
        """With some and without others; one that was there twice may still be there once."""
        kept = list(self._paths)
        for path in map(_bare, removed):
            if path in kept:
                kept.remove(path)
            else:
                kept = [one for one in kept if real(one) != real(path)]
        return Folders((*kept, *added))

    def containing(self, path: str) -> str | None:
        """The innermost folder that `path` lies in, as the editor spells it."""
        found = self._found(path)
        return found and found[1]

    def spell(self, path: str) -> str:
        """As the editor would spell it; a path outside stays as it is."""
        found = self._found(path)
        return found[1] + path[len(found[0]) :] if found else path

    def shown(self, path: str) -> str:
        """As people and models should read it: inside its folder, with slashes."""
        found = self._found(path)
        return path[len(found[0]) :].lstrip(os.sep).replace(os.sep, "/") if found else path

    def _found(self, path: str) -> tuple[str, str] | None:
        """How the folder is spelled in `path`, and how the editor does it."""
        ways = (
            (way, spelled) for real, spelled in self._spelled.items() for way in (real, spelled)
        )
        inside = [pair for pair in ways if path.startswith(pair[0].rstrip(os.sep) + os.sep)]
        return max(inside, key=lambda pair: len(pair[0]), default=None)
