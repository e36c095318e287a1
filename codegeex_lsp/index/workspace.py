"""Keeps a workspace's store in step with its files on disk and with the editor's open documents.

An open document counts with the editor's text, saved or not, and is taken from the disk again when
it is closed. Whatever way it came to be, the store holds what one fresh walk would put into it.
Whatever way a path is spelled, it counts as what it is on the disk; answers spell it as the editor
spells the folder it lies in. `alive` is asked between files: that is when questions are answered
and the end is noticed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from codegeex_lsp.exclusion.globs import Globs
from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.exclusion.names import IGNORE_FILES
from codegeex_lsp.exclusion.rule import Rule
from codegeex_lsp.files.folders import Folders, real
from codegeex_lsp.index import chunks, files, fusion, words
from codegeex_lsp.index.files import Bounds, Found, Walk
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
    """`roots` are absolute paths of folders, as the editor spells them."""

    def __init__(
        self,
        store: Store,
        roots: Sequence[str],
        bounds: Bounds,
        alive: Callable[[], bool] = lambda: True,
        exclude: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._folders = Folders(roots)
        self._rule = Rule(self._folders.real, Globs(exclude))
        self._bounds = bounds
        self._alive = alive
        self._open: dict[str, str] = {}  # real paths of open documents, by the editor's
        self._texts: dict[str, str] = {}  # of open documents, by real path
        self.left_out: Counter[LeftOut] = Counter()

    def move(self, roots: Sequence[str]) -> None:
        """The workspace has other folders now; a walk takes them in."""
        self._folders = Folders(roots)
        self._rule = replace(self._rule, roots=self._folders.real)

    def exclude(self, globs: Sequence[str]) -> None:
        """The user's globs are others now; a walk does what follows from that."""
        self._rule = replace(self._rule, excluded=Globs(globs))

    @property
    def sizes(self) -> tuple[int, int]:
        """How many files and chunks are in the store."""
        return self._store.sizes()

    def walk(self) -> bool:
        """Look at all files and take in what is new or changed. False when it was ended early."""
        walk = Walk(self._rule, self._bounds, lambda: not self._alive())
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
        self._forget(sorted(gone))
        if not self._alive():
            return False
        with self._store.together():
            self._store.vectors.forget_unused()
        if any(map(os.path.lexists, gone)):  # left out since
            self._store.wipe()
        self.left_out = walk.left_out
        return True

    def changed(self, paths: Sequence[str]) -> bool:
        """Files were written, moved or deleted. True when a walk is needed to know which."""
        if len(paths) > MOST_CHANGES:
            return True
        for path in paths:
            if os.path.basename(path) in IGNORE_FILES or os.path.isdir(path):
                return True
        for path in paths:
            if not self._alive():
                return True
            # What was written through a link is its file; the link itself may have been one before.
            folder, name = os.path.split(path)
            for place in {os.path.join(real(folder), name), real(path)}:
                self._look_at(place)
        return False

    def opened(self, path: str, text: str) -> None:
        """An editor's document, as it is in the editor now."""
        place = real(path)
        if self._open.get(path, place) != place:  # a link that leads elsewhere now
            self.closed(path)
        self._open[path] = place
        if self._texts.get(place) != text:
            self._texts[place] = text
            self._look_at(place)

    def closed(self, path: str) -> None:
        """The disk's text counts again, unless the file is open by another path, too."""
        place = self._open.pop(path, None)
        if place is not None and place not in self._open.values():
            del self._texts[place]
            self._look_at(place)

    def search(
        self, question: str, limit: int, under: str, cancelled: Callable[[], bool]
    ) -> list[Place]:
        """Places for a sentence or names, best first. `under` is a file, or a folder."""
        inside = real(under) if under else ""
        places = self._store.search(words.asked(question), limit, under=inside, cancelled=cancelled)
        return self._spelled(places)

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
        inside = real(under) if under else ""
        near = self._spelled(self._store.near(model, vector, max(limit, fusion.DEPTH), inside))
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
        found = self._store.search(
            words.asked(text), limit, without=real(path), cancelled=cancelled
        )
        return self._spelled(found)

    def neighbours(
        self, path: str, limit: int, opened: Sequence[str] = ()
    ) -> list[tuple[str, str]]:
        """Paths and texts of files in the language of `path` that are not `opened`, nearest last:
        by the folders they share with it and those between, and the newest first of equals."""
        place, open_places = real(path), set(map(real, opened)) | self._texts.keys()
        language, folders = languages.of("", place), place.split(os.sep)[:-1]
        candidates = [
            (*_nearness(folders, other), _written_at(stamp), other)
            for other, stamp in self._store.stamps().items()
            if other != place and other not in open_places and languages.of("", other) == language
        ]
        near: list[tuple[str, str]] = []
        for *_, other in sorted(candidates, reverse=True):
            found = files.belongs(other, self._rule, self._bounds)
            if found is not None and found.size <= LARGEST_NEIGHBOUR:
                text = files.read(found, self._bounds)
                if not isinstance(text, LeftOut):
                    near.append((self._folders.spell(other), text))
            if len(near) == limit:
                break
        return near[::-1]

    def respelled(self, paths: Iterable[str]) -> list[str]:
        """As answers spell what lies there."""
        return [self._folders.spell(real(path)) for path in paths]

    def _spelled(self, places: Sequence[Place]) -> list[Place]:
        """As the editor spells them, without those that a rule leaves out now: the walk that takes
        them out of the store needs seconds."""
        paths = {place.path for place in places}
        kept = {path for path in paths if self._rule.of_file(path) is None}
        return [
            replace(place, path=self._folders.spell(place.path))
            for place in places
            if place.path in kept
        ]

    def _look_at(self, path: str) -> None:
        """Bring one path up to date; a folder that is gone takes along all that was in it."""
        found = files.belongs(path, self._rule, self._bounds)
        if found is None:
            self._forget(self._store.under(path))
        elif self._store.holds(path) or self._store.sizes()[0] < self._bounds.files:
            self._take([found], Counter())

    def _forget(self, paths: Sequence[str]) -> None:
        """A piece at a time, as they are taken; the rest stays when all ends."""
        for begin in range(0, len(paths), AT_ONCE):
            if not self._alive():
                return
            with self._store.together():
                for path in paths[begin : begin + AT_ONCE]:
                    self._store.remove(path)

    def _take(self, changed: Sequence[Found], left_out: Counter[LeftOut]) -> None:
        with self._store.together():
            for found in changed:
                if not self._alive():
                    return
                text = self._text(found)
                if isinstance(text, LeftOut):
                    left_out[text] += 1
                    self._store.remove(found.path)
                    continue
                stamp = OPEN + found.stamp if found.path in self._texts else found.stamp
                language = languages.of("", found.path)
                pieces = chunks.cut(text, language)
                self._store.put(found.path, stamp, pieces, self._folders.shown(found.path))

    def _text(self, found: Found) -> str | LeftOut:
        if (text := self._texts.get(found.path)) is not None:
            return files.judged(text)
        return files.read(found, self._bounds)


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
