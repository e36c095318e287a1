"""Chunks on disk and their search: SQLite's FTS5, a part of Python, which ranks by BM25.

    files   path, stamp     one row a file; the stamp tells whether it must be read again, and
            shown           the part of the path that is searched
    chunks  lines, title, text, and by which key vectors.py knows the text
    words   what is searched: the words of path, title and text, without their text (FTS5)

A word's removal needs the very words that were added; they are made again from the chunk. A damaged
or older database is made anew. For one thread; knows no folders and no ignore files.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from codegeex_lsp.index import vectors, words
from codegeex_lsp.index.chunks import Chunk
from codegeex_lsp.index.places import Place
from codegeex_lsp.index.vectors import Vectors

VERSION = 3
# A name says more than what stands in a body. For twice 50 sentences about functions of Python's
# standard library the mean reciprocal rank is 0.22 and 0.24; 0.20 and 0.23 with a title of 3, 0.20
# and 0.21 with equal weights.
PATH_WEIGHT, TITLE_WEIGHT, TEXT_WEIGHT = 1.0, 6.0, 1.0
# Where a database's file has its user_version.
_VERSION_AT = 60
# SQLite asks so often whether a search was cancelled, counted in its virtual machine's steps.
STEPS = 10_000

_TABLES = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, stamp TEXT NOT NULL,
    shown TEXT NOT NULL);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    title TEXT NOT NULL, text TEXT NOT NULL, key BLOB NOT NULL
);
CREATE INDEX chunks_of_file ON chunks (file);
CREATE INDEX chunks_of_key ON chunks (key);
CREATE VIRTUAL TABLE words USING fts5(path, title, text, content='', tokenize='porter unicode61');
"""
_ADD_CHUNK = "INSERT INTO chunks (file, first, last, title, text, key) VALUES (?, ?, ?, ?, ?, ?)"
_ADD = "INSERT INTO words (rowid, path, title, text) VALUES (?, ?, ?, ?)"
_TAKE_AWAY = "INSERT INTO words (words, rowid, path, title, text) VALUES ('delete', ?, ?, ?, ?)"
_SEARCH = """
SELECT files.path, chunks.first, chunks.last, chunks.title, chunks.text, found.score
FROM (SELECT rowid, bm25(words, ?, ?, ?) AS score FROM words WHERE words MATCH ?) AS found
JOIN chunks ON chunks.id = found.rowid JOIN files ON files.id = chunks.file
WHERE substr(files.path || ?, 1, length(?)) = ? AND files.path != ?
ORDER BY found.score, files.path, chunks.first LIMIT ?
"""
_OF_KEY = """
SELECT files.path, chunks.first, chunks.last, chunks.title, chunks.text
FROM chunks JOIN files ON files.id = chunks.file
WHERE chunks.key = ? AND substr(files.path || ?, 1, length(?)) = ? ORDER BY files.path, chunks.first
"""
_KEYS_UNDER = """
SELECT chunks.key FROM chunks JOIN files ON files.id = chunks.file
WHERE substr(files.path || ?, 1, length(?)) = ?
"""


class NoSearchError(Exception):
    """Python's SQLite was built without full text search. One sentence for people."""


class CancelledSearchError(Exception):
    """The search was stopped while it ran."""


class Store:
    """`path` is the database's file, ":memory:" keeps it in memory."""

    def __init__(self, path: Path | str) -> None:
        if not has_fts5():
            raise NoSearchError(
                "Searching the workspace needs an SQLite with FTS5, and this Python's has none; "
                "use a Python from python.org, conda or your distribution."
            )
        self._path = path
        try:
            self._open()
        except sqlite3.DatabaseError:
            self._database.close()
            remove(Path(path))
            self._open()

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, isolation_level=None)
        database = self._database
        # A crash of the machine may cost the newest files' rows, which are then read again.
        # What was taken out is overwritten, not only given free.
        for pragma in (
            *("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -8000"),
            "secure_delete = ON",
        ):
            database.execute(f"PRAGMA {pragma}")
        [(version,)] = database.execute("PRAGMA user_version")
        if version != VERSION:
            if list(database.execute("SELECT 1 FROM sqlite_master")):
                raise sqlite3.DatabaseError("made by another version")
            tables = _TABLES + vectors.TABLES
            database.executescript(f"BEGIN; {tables} PRAGMA user_version = {VERSION}; COMMIT;")
        database.execute("SELECT count(*) FROM files")
        self.vectors = Vectors(database)

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is changed in the block is written at once, or not at all."""
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def stamps(self) -> dict[str, str]:
        """The stamp of each file."""
        return dict(self._database.execute("SELECT path, stamp FROM files"))

    def holds(self, path: str) -> bool:
        return bool(list(self._database.execute("SELECT 1 FROM files WHERE path = ?", (path,))))

    def under(self, path: str) -> list[str]:
        """The file at that path, or all files in that folder."""
        first, last = path + os.sep, path + chr(ord(os.sep) + 1)
        sql = "SELECT path FROM files WHERE path = ? OR path > ? AND path < ? ORDER BY path"
        return [found for (found,) in self._database.execute(sql, (path, first, last))]

    def sizes(self) -> tuple[int, int]:
        """How many files and chunks."""
        sql = "SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM chunks)"
        [(files, chunks)] = self._database.execute(sql)
        return files, chunks

    def put(self, path: str, stamp: str, chunks: Iterable[Chunk], shown: str) -> None:
        """In place of what was known of that file; `shown` is the path's part worth searching."""
        self.remove(path)
        row = self._database.execute(
            "INSERT INTO files (path, stamp, shown) VALUES (?, ?, ?)", (path, stamp, shown)
        ).lastrowid
        for chunk in chunks:
            number = self._database.execute(
                _ADD_CHUNK, (row, *astuple(chunk), vectors.key(chunk.text))
            ).lastrowid
            self._database.execute(_ADD, (number, *_searched(shown, chunk.title, chunk.text)))

    def remove(self, path: str) -> None:
        """Forget a file; one that isn't known is ignored."""
        sql = "SELECT id, shown FROM files WHERE path = ?"
        for row, shown in self._database.execute(sql, (path,)).fetchall():
            known = "SELECT id, title, text FROM chunks WHERE file = ?"
            for number, title, text in self._database.execute(known, (row,)).fetchall():
                self._database.execute(_TAKE_AWAY, (number, *_searched(shown, title, text)))
            self._database.execute("DELETE FROM chunks WHERE file = ?", (row,))
            self._database.execute("DELETE FROM files WHERE id = ?", (row,))

    def wipe(self) -> None:
        """Write anew what still holds the words of files that were removed: takes seconds in a
        large database, so only what must not be known any more is worth it."""
        self._database.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def search(
        self,
        wanted: Sequence[str],
        limit: int,
        *,
        under: str = "",
        without: str = "",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Place]:
        """The best chunks with any of the words, in the file or folder `under`, if any.

        Equal scores are ordered by path and line. Raises CancelledSearchError.
        """
        if not wanted:
            return []
        inside = _inside(under)
        match = " OR ".join(f'"{word}"' for word in wanted)
        weights = (PATH_WEIGHT, TITLE_WEIGHT, TEXT_WEIGHT)
        self._database.set_progress_handler(cancelled, STEPS)
        try:
            rows = self._database.execute(
                _SEARCH, (*weights, match, os.sep, inside, inside, without, limit)
            ).fetchall()
        except sqlite3.OperationalError as error:
            if cancelled():
                raise CancelledSearchError from error
            raise
        finally:
            self._database.set_progress_handler(None, 0)
        return [
            Place(path, first, last, title, text, -score)
            for path, first, last, title, text, score in rows
        ]

    def near(self, model: str, vector: Sequence[float], limit: int, under: str = "") -> list[Place]:
        """The chunks whose texts have the nearest vectors; none when theirs are another model's."""
        inside = (os.sep, _inside(under), _inside(under))
        among = None
        if under:
            among = {key for (key,) in self._database.execute(_KEYS_UNDER, inside)}
        keys = self.vectors.nearest(model, vector, limit, among)
        rows = (row for key in keys for row in self._database.execute(_OF_KEY, (key, *inside)))
        return [
            Place(path, first, last, title, text, 0.0)
            for path, first, last, title, text in itertools.islice(rows, limit)
        ]


def has_fts5() -> bool:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        return ("ENABLE_FTS5",) in set(database.execute("PRAGMA compile_options"))


def is_of_this_version(path: Path) -> bool:
    """By the file's head alone; a database in use may have it in the file beside it."""
    try:
        with path.open("rb") as file:
            head = file.read(_VERSION_AT + 4)
    except FileNotFoundError:  # another window has just deleted it
        return True
    return int.from_bytes(head[_VERSION_AT:]) in (0, VERSION)


def remove(path: Path) -> None:
    """Delete a database with the files beside it."""
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _inside(under: str) -> str:
    """What a file's path begins with, a separator behind it, when it lies there or is that file."""
    return under.rstrip(os.sep) + os.sep if under else ""


def _searched(shown: str, title: str, text: str) -> tuple[str, str, str]:
    return words.of_text(shown), words.of_text(title), words.of_text(text)
