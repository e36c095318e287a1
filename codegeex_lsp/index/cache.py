"""Where the index's databases lie: the user's cache folder, one for each workspace and window.

A window locks its database while it runs; a second window of the same workspace takes another one.
Databases nobody has used for a while go, as do the oldest of many. Nothing is written elsewhere.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import platformdirs
from filelock import BaseFileLock, FileLock, Timeout

from codegeex_lsp.index import store

# A workspace comes back after a holiday; its index is made again in less than a minute.
DAYS_KEPT = 30
MOST_KEPT = 12
MOST_WINDOWS = 16


def folder(environ: Mapping[str, str]) -> Path:
    """CODEGEEX_CACHE_DIR, else the user's cache folder; it need not exist."""
    if chosen := environ.get("CODEGEEX_CACHE_DIR"):
        return Path(chosen) / "index"
    return platformdirs.user_cache_path("codegeex", appauthor=False) / "index"


def claim(directory: Path, roots: Sequence[str]) -> tuple[Path, BaseFileLock]:
    """A database's path that no other window uses, and the lock to hold meanwhile.

    Raises OSError where the folder can't be written.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256("\n".join(sorted(roots)).encode("utf-8", "replace")).hexdigest()[:24]
    for window in range(MOST_WINDOWS):
        path = directory / f"{name}-{window}.db"
        if (lock := _locked(path)) is not None:
            path.touch()
            return path, lock
    raise OSError(f"{MOST_WINDOWS} windows have this workspace open")


def tidy(directory: Path, now: float | None = None) -> None:
    """Delete databases that are old, too many or of another version, unless a window uses them."""
    now = time.time() if now is None else now
    used = {path: _used_at(path) for path in directory.glob("*.db")}
    for place, path in enumerate(sorted(used, key=used.__getitem__, reverse=True)):
        old = now - used[path] > DAYS_KEPT * 86400 or not store.is_of_this_version(path)
        if (old or place >= MOST_KEPT) and (lock := _locked(path)) is not None:
            store.remove(path)
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)


def _used_at(path: Path) -> float:
    """0 when another window has just deleted it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _locked(path: Path) -> BaseFileLock | None:
    """The lock, or None when somebody has it."""
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
