"""Vectors of chunks on disk: which chunks lack one, and which are nearest to a question's.

    model    which model the vectors are of: those of two models are never compared
    vectors  key, signs, vector     a row for each text; the vector as float16

A vector belongs to a text and not to a place: an edited or moved file costs what is new in it. A
search goes through the signs first, a bit for each dimension, and compares the vectors of the
texts with the most signs in common (as Yamada et al. 2021 do, arXiv:2106.00882): Python goes
through the signs of 100,000 vectors of 256 dimensions in 45 ms, and through the vectors in 1.6 s.
"""

from __future__ import annotations

import hashlib
import heapq
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from operator import mul

TABLES = """
CREATE TABLE model (name TEXT NOT NULL);
CREATE TABLE vectors (key BLOB PRIMARY KEY, signs BLOB NOT NULL, vector BLOB NOT NULL);
"""
_LACKING = """
SELECT chunks.id, chunks.key, chunks.text FROM chunks LEFT JOIN vectors ON vectors.key = chunks.key
WHERE vectors.key IS NULL AND chunks.id > ? ORDER BY chunks.id LIMIT ?
"""
# On disk; 100,000 vectors of 256 dimensions. Files far down in folders are the ones without.
MOST_BYTES = 64 * 2**20
# So many of the nearest by their signs are compared by their vectors, which takes 17 ms. Of 5,356
# places by an encoder with random weights, whose vectors all point the same way, these hold 97 % of
# the ten nearest; 400 of them hold 86 %.
COMPARED = 1000


def key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


class Vectors:
    """The tables of one database, whose table of chunks has their keys."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._looked_at = 0  # the last chunk
        self._signs: dict[bytes, int] | None = None

    @property
    def model(self) -> str:
        """Which model they are of; "" while there is none."""
        return "".join(name for (name,) in self._database.execute("SELECT name FROM model"))

    def lacking(self, model: str, limit: int) -> list[tuple[bytes, str]]:
        """Keys and texts of some chunks without a vector of `model`, the first files first.

        Vectors of another model are forgotten. None when all have one, or there is no room.
        """
        if model != self.model:
            self._database.execute("DELETE FROM vectors")
            self._database.execute("DELETE FROM model")
            self._database.execute("INSERT INTO model (name) VALUES (?)", (model,))
            self._signs, self._looked_at = None, 0
        if len(self._known()) * self._row_bytes() >= MOST_BYTES:
            return []
        for begin in dict.fromkeys((self._looked_at, 0)):
            rows = self._database.execute(_LACKING, (begin, limit)).fetchall()
            self._looked_at = rows[-1][0] if rows else 0
            if rows:
                break
        return list({key: text for _, key, text in rows}.items())

    def put(self, model: str, vectors: Iterable[tuple[bytes, Sequence[float]]]) -> None:
        """Keep them; those of another model than lacking() was last asked for are ignored."""
        if model != self.model:
            return
        known = self._known()
        for text, vector in vectors:
            signs = _signs(vector)
            packed = struct.pack(f"<{len(vector)}e", *vector)
            row = (text, signs.to_bytes(-(-len(vector) // 8), "little"), packed)
            self._database.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", row)
            known[text] = signs

    def forget_unused(self) -> None:
        """Those of texts that no chunk has any more."""
        sql = "DELETE FROM vectors WHERE key NOT IN (SELECT key FROM chunks)"
        if self._database.execute(sql).rowcount:
            self._signs = None

    def nearest(
        self, model: str, vector: Sequence[float], limit: int, among: set[bytes] | None = None
    ) -> list[bytes]:
        """The keys of the texts with the nearest vectors, best first; [] for another model's."""
        if model != self.model:
            return []
        signs = _signs(vector)
        known = self._known()
        texts = known.keys() if among is None else among & known.keys()
        apart = [((signs ^ known[text]).bit_count(), text) for text in texts]
        close = [text for _, text in heapq.nsmallest(max(COMPARED, limit), apart)]
        near = [(-sum(map(mul, vector, self._vector(text, len(vector)))), text) for text in close]
        return [text for _, text in heapq.nsmallest(limit, near)]

    def _vector(self, text: bytes, dimensions: int) -> tuple[float, ...]:
        sql = "SELECT vector FROM vectors WHERE key = ?"
        [(packed,)] = self._database.execute(sql, (text,))
        return struct.unpack(f"<{dimensions}e", packed)

    def _known(self) -> dict[bytes, int]:
        """All signs: 100 bytes each for as long as the process lives."""
        if self._signs is None:
            rows = self._database.execute("SELECT key, signs FROM vectors")
            self._signs = {key: int.from_bytes(signs, "little") for key, signs in rows}
        return self._signs

    def _row_bytes(self) -> int:
        sql = "SELECT length(key) + length(signs) + length(vector) FROM vectors LIMIT 1"
        return sum(size for (size,) in self._database.execute(sql))


def _signs(vector: Sequence[float]) -> int:
    """A bit for each dimension, set where it is above zero."""
    return int("".join("1" if one > 0 else "0" for one in vector), 2)
