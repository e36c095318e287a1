"""Are a model's files the ones its config.json names? Checked once, then remembered.

A checksum of CodeGeeX-13B reads 26 GB, which takes longer than loading it. So a large file that was
verified leaves a stamp in the user's state folder: what the file was then, from its inode to its
times. While all of that is the same, its checksum is not computed again. Small files always are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from model_runtime.errors import WeightsError
from model_runtime.logs import LOG
from model_runtime.reading import FETCH_POINTERS, is_pointer

# A file of this size takes a tenth of a second.
LARGE_BYTES = 64 * 2**20

Stamp = list[object]


def verify(folder: Path, files: Mapping[str, tuple[int, str]]) -> None:
    """Compare each file with its size in bytes and sha256. Raises WeightsError at the first damage.

    `files` is by name within `folder`.
    """
    place = _stamps_of(folder)
    known = _read(place)
    stamps = {}
    for file, (size, sha256) in files.items():
        stamp = _verify(folder / file, size, sha256, known.get(file))
        if size >= LARGE_BYTES:
            stamps[file] = stamp
    if stamps and stamps != known:
        _write(place, stamps)


def sizes(folder: Path, files: Mapping[str, tuple[int, str]]) -> None:
    """Compare sizes alone, which takes no time. Raises WeightsError."""
    for file, (size, _) in files.items():
        _status(folder / file, size)


def _verify(path: Path, size: int, sha256: str, known: object) -> Stamp:
    status = _status(path, size)
    try:
        # Taken before reading: a change while it is read makes the next start read it again.
        stamp: Stamp = [
            sha256,
            status.st_dev,
            status.st_ino,
            status.st_mtime_ns,
            status.st_ctime_ns,
        ]
        if size >= LARGE_BYTES and stamp == known:
            return stamp
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
    if digest != sha256:
        raise WeightsError(
            f"{path} is damaged: its checksum isn't the one in config.json; "
            "fetch or export it again."
        )
    return stamp


def _status(path: Path, size: int) -> os.stat_result:
    """Raises WeightsError for a file that is missing or of another size."""
    try:
        status = path.stat()
        if status.st_size != size and is_pointer(path):
            raise WeightsError(f"{path} {FETCH_POINTERS}.")
    except FileNotFoundError as error:
        raise WeightsError(f"{path.parent} lacks {path.name}; the model is incomplete.") from error
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}.") from error
    if status.st_size != size:
        raise WeightsError(
            f"{path} is damaged: it has {status.st_size} of {size} bytes; fetch or export it again."
        )
    return status


def _stamps_of(folder: Path) -> Path:
    """One file a model folder, named after its path."""
    state = os.environ.get("CODEGEEX_STATE_DIR")
    root = Path(state) if state else platformdirs.user_state_path("codegeex", appauthor=False)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return root / "verified" / f"{name}.json"


def _read(path: Path) -> dict[str, object]:
    try:
        stamps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write(path: Path, stamps: Mapping[str, Stamp]) -> None:
    """Without a place for it the next start verifies again."""
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_text(json.dumps(stamps), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        LOG.info("verified files can't be remembered: %s", type(error).__name__)
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
