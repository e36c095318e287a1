"""A new folder, written so that nothing half-written ever looks whole.

Everything goes into a folder beside the target, config.json last, reaches the disk, and gets the
target's name in one step. What a killed run left behind the next one removes. It knows files and
bytes, not models. conversion.convert calls it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import filelock
import torch
from torch import Tensor

from model_runtime.errors import ConversionError

PARTIAL = ".partial-codegeex"
# For what comes beside the tensors: the tokenizer is 1.5 MB.
OTHER_BYTES = 10_000_000
SAFETENSORS_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int8: "I8",
    torch.uint8: "U8",
}

Fingerprint = dict[str, int | str]


@contextmanager
def new_folder(target: Path, size: int) -> Iterator[Path]:
    """A folder to fill with `size` bytes, which is `target` when the block ends well.

    When it doesn't, nothing is left. Raises ConversionError: it exists, the disk is full, another
    conversion is writing it, or it can't be written.
    """
    if not target.parent.is_dir():
        raise ConversionError(f"There is no folder {target.parent} to make {target.name} in.")
    _refuse_existing(target)
    partial = target.with_name(target.name + PARTIAL)
    try:
        with _alone(target):
            _refuse_existing(target)
            try:
                _remove(partial)
                partial.mkdir()
                _check_space(partial, size)
                yield partial
                _sync(partial)
                partial.rename(target)
                _sync(target.parent)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise ConversionError(f"{target} can't be written: {error.strerror or error}.") from error


def write_file(path: Path, content: bytes) -> None:
    """All of it, and on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def fingerprint(path: Path) -> Fingerprint:
    """What config.json says of a file; the file is on the disk then."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def safetensors_header(tensors: Mapping[str, Tensor]) -> bytes:
    """What comes before the numbers of these, one behind another: a length, then names, types,
    shapes and places as JSON. They may be on the meta device."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": SAFETENSORS_DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(8 * math.ceil(len(text) / 8))
    return len(text).to_bytes(8, "little") + text


class HashedFile:
    """A file written from its beginning to its end; its fingerprint is known when it is closed."""

    def __init__(self, path: Path, beginning: bytes) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0
        self._beginning = beginning

    def __enter__(self) -> HashedFile:
        self._append(memoryview(self._beginning))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def write(self, tensor: Tensor) -> None:
        """The numbers of a contiguous tensor, without a copy."""
        self._append(tensor.flatten().view(torch.uint8).numpy().data)

    @property
    def fingerprint(self) -> Fingerprint:
        return {"bytes": self._size, "sha256": self._digest.hexdigest()}

    def _append(self, content: memoryview) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._size += len(content)


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise ConversionError(f"{target} exists already; remove it or name another folder.")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Only one process at a time writes a target; the lock of a killed one is free."""
    path = target.with_name(f"{target.name}{PARTIAL}.lock")
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ConversionError(f"Another conversion is writing {target}; wait for it.") from error
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)


def _remove(partial: Path) -> None:
    """What a killed run left behind."""
    if partial.exists():
        shutil.rmtree(partial)


def _check_space(folder: Path, size: int) -> None:
    free, needed = shutil.disk_usage(folder).free, size + OTHER_BYTES
    if free < needed:
        raise ConversionError(
            f"{folder.parent} has {free / 1e9:.2f} GB free; {needed / 1e9:.2f} GB are needed."
        )


def _sync(folder: Path) -> None:
    """A name is on the disk only when its folder is; Windows has no way to ask for it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
