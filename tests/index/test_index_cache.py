"""Where databases lie, who uses which, and which are old."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from codegeex_lsp.index import cache, store


def test_a_second_window_of_a_workspace_has_its_own_database(tmp_path: Path) -> None:
    first, lock = cache.claim(tmp_path, ["/project"])
    second, other = cache.claim(tmp_path, ["/project"])
    assert first != second
    other.release()
    lock.release()
    again, lock = cache.claim(tmp_path, ["/project"])
    lock.release()
    assert again == first


def test_old_databases_go_unless_a_window_uses_them(tmp_path: Path) -> None:
    used, lock = cache.claim(tmp_path, ["/used"])
    old, other = cache.claim(tmp_path, ["/old"])
    other.release()
    new, other = cache.claim(tmp_path, ["/new"])
    other.release()
    long_ago = time.time() - 40 * 86400
    os.utime(used, (long_ago, long_ago))
    os.utime(old, (long_ago, long_ago))
    cache.tidy(tmp_path)
    lock.release()
    assert (used.exists(), old.exists(), new.exists()) == (True, False, True)


def test_a_database_of_another_version_goes_whosever_workspace_it_is(tmp_path: Path) -> None:
    """It may hold what this version would have left out."""
    kept, lock = cache.claim(tmp_path, ["/kept"])
    lock.release()
    older = tmp_path / "older-0.db"
    for path, version in ((kept, store.VERSION), (older, store.VERSION - 1)):
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA user_version = {version}")
    cache.tidy(tmp_path)
    assert (kept.exists(), older.exists()) == (True, False)


def test_one_that_another_window_deletes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = cache.claim(tmp_path, ["/here"])
    lock.release()
    monkeypatch.setattr(Path, "glob", lambda *_: [path, tmp_path / "gone.db"])
    cache.tidy(tmp_path)
    assert path.exists()


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    for number in range(cache.MOST_KEPT + 3):
        path, lock = cache.claim(tmp_path, [f"/project{number}"])
        lock.release()
        os.utime(path, (number, time.time() - 100 + number))
    cache.tidy(tmp_path)
    assert len(list(tmp_path.glob("*.db"))) == cache.MOST_KEPT
