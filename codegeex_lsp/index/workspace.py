"""Keeps a workspace's store in step with its files on disk and with the editor's open documents.

An open document counts with the editor's text, saved or not, and is taken from the disk again when
it is closed. Whatever way it came to be, the store holds what one fresh walk would put into it.
`alive` is asked between files: that is when questions are answered and the end is noticed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from codegeex_lsp.index import IGNORE_FILES, chunks, files, fusion, words
from codegeex_lsp.index.files import Bounds, Found, LeftOut, Walk
from codegeex_lsp.index.places import Place
from codegeex_lsp.index.store import Store
from codegeex_lsp.text import languages

# So many files are written at once; a question waits for one file at most.
AT_ONCE = 100
# More changes than these are found quicker by a walk.
MOST_CHANGES = 200
OPEN = "open "
# The memory is for many files.
LARGEST_NEIGHBOUR = 64 * 1024


class Workspace:
    """`roots` are absolute paths of folders."""

    def __init__(
        self,
        store: Store,
        roots: Sequence[str],
        bounds: Bounds,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._roots = tuple(root.rstrip("/\\") or root for root in roots)
        self._bounds = bounds
        self._alive = alive
        self._texts: dict[str, str] = {}  # of open documents, by path
        self.left_out: Counter[LeftOut] = Counter()

    @property
    def sizes(self) -> tuple[int, int]:
        """How many files and chunks are in the store."""
        return self._store.sizes()

    def walk(self) -> bool:
        """Look at all files and take in what is new or changed. False when it was ended early."""
        walk = Walk(self._roots, self._bounds, lambda: not self._alive())
        known = self._store.stamps()
        gone = set(known)
        changed: list[Found] = []
        for found in walk:
            gone.discard(found.path)
            if found.path in self._texts or known.get(found.path) != found.stamp:
                changed.append(found)
            if len(changed) >= AT_ONCE:
                self._take(changed, walk.left_out)
                changed.clear()
        if not self._alive():
            return False
        self._take(changed, walk.left_out)
        with self._store.together():
            for path in gone:
                self._remove(path)
            self._store.vectors.forget_unused()
        self.left_out = walk.left_out
        return self._alive()

    def changed(self, paths: Sequence[str]) -> bool:
        """Files were written, moved or deleted. True when a walk is needed to know which."""
        if len(paths) > MOST_CHANGES:
            return True
        for path in paths:
            if os.path.basename(path) in IGNORE_FILES or os.path.isdir(path):
                return True
        for path in paths:
            self._look_at(path)
        return False

    def opened(self, path: str, text: str) -> None:
        """An editor's document, as it is in the editor now."""
        if self._texts.get(path) == text:
            return
        self._texts[path] = text
        self._look_at(path)

    def closed(self, path: str) -> None:
        """The disk's text counts again."""
        if self._texts.pop(path, None) is not None:
            self._look_at(path)

    def search(
        self, question: str, limit: int, under: str, cancelled: Callable[[], bool]
    ) -> list[Place]:
        """Places for a sentence or names, best first. `under` is a file, or a folder."""
        return self._store.search(words.asked(question), limit, under=under, cancelled=cancelled)

    def search_by_both(
        self,
        question: str,
        model: str,
        vector: Sequence[float],
        limit: int,
        under: str,
        cancelled: Callable[[], bool],
    ) -> tuple[list[Place], bool]:
        """The same by words and by the question's vector, which `model` made.

        False when the places have no vectors of that model, so that words alone count.
        """
        near = self._store.near(model, vector, max(limit, fusion.DEPTH), under)
        if not near:
            return self.search(question, limit, under, cancelled), False
        named = self.search(question, max(limit, fusion.DEPTH), under, cancelled)
        return fusion.fused((named, near), limit), True

    def lacking(self, model: str, limit: int) -> list[tuple[bytes, str]]:
        """Keys and texts of some places without a vector of that model."""
        with self._store.together():
            return self._store.vectors.lacking(model, limit)

    def embedded(self, model: str, vectors: Iterable[tuple[bytes, Sequence[float]]]) -> None:
        """What that model made of texts that lacked one."""
        with self._store.together():
            self._store.vectors.put(model, vectors)

    def alike(self, text: str, path: str, limit: int, cancelled: Callable[[], bool]) -> list[Place]:
        """Places in files other than `path` that have to do with the code in `text`."""
        return self._store.search(words.asked(text), limit, without=path, cancelled=cancelled)

    def neighbours(self, path: str, limit: int) -> list[tuple[str, str]]:
        """Paths and texts of files in the language of `path` that are not open, the nearest last:
        by the folders they share with it and those between, and the newest first of equals."""
        language, folders = languages.of("", path), path.split(os.sep)[:-1]
        candidates = [
            (*_nearness(folders, other), _written_at(stamp), other)
            for other, stamp in self._store.stamps().items()
            if other != path and other not in self._texts and languages.of("", other) == language
        ]
        near: list[tuple[str, str]] = []
        for *_, other in sorted(candidates, reverse=True):
            found = files.belongs(other, self._roots, self._bounds)
            if found is not None and found.size <= LARGEST_NEIGHBOUR:
                text = files.read(found)
                if not isinstance(text, LeftOut):
                    near.append((other, text))
            if len(near) == limit:
                break
        return near[::-1]

    def _look_at(self, path: str) -> None:
        """Bring one path up to date; a folder that is gone takes along all that was in it."""
        found = files.belongs(path, self._roots, self._bounds)
        if found is not None:
            known = self._store.stamps()
            if path in known or len(known) < self._bounds.files:
                self._take([found], Counter())
            return
        inside = path + os.sep
        with self._store.together():
            for known_path in self._store.stamps():
                if known_path == path or known_path.startswith(inside):
                    self._remove(known_path)

    def _take(self, changed: Sequence[Found], left_out: Counter[LeftOut]) -> None:
        with self._store.together():
            for found in changed:
                if not self._alive():
                    return
                text = self._text(found)
                if isinstance(text, LeftOut):
                    left_out[text] += 1
                    self._remove(found.path)
                    continue
                stamp = OPEN + found.stamp if found.path in self._texts else found.stamp
                language = languages.of("", found.path)
                pieces = chunks.cut(text, language)
                self._store.put(found.path, stamp, pieces, self._shown(found.path))

    def _text(self, found: Found) -> str | LeftOut:
        if (text := self._texts.get(found.path)) is not None:
            return files.judged(text)
        return files.read(found)

    def _remove(self, path: str) -> None:
        self._store.remove(path, self._shown(path))

    def _shown(self, path: str) -> str:
        """The path inside its root."""
        root = next((root for root in self._roots if path.startswith(root + os.sep)), "")
        return path[len(root) :]


def _nearness(folders: Sequence[str], path: str) -> tuple[int, int]:
    """More where more folders are shared, and where the path goes less deep below them."""
    others = path.split(os.sep)[:-1]
    pairs = zip(folders, others, strict=False)
    shared = next((n for n, (one, other) in enumerate(pairs) if one != other), None)
    return min(len(folders), len(others)) if shared is None else shared, -len(others)


def _written_at(stamp: str) -> int:
    """From what files.Found says of a file that isn't open."""
    when = stamp.partition("-")[0]
    return int(when) if when.isdecimal() else 0
