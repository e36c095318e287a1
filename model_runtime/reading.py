"""Small files that people and publishers bring: config.toml, and what a model folder says.

One way to read all of them: regular files alone, so that none can hang or never end, up to a size,
and as text. It knows no setting and no model.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from model_runtime.errors import WeightsError

# Windows' editors write these before a text.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What git leaves in place of a large file until it is fetched.
POINTER = b"version https://git-lfs.github.com/spec/"
FETCH_POINTERS = "is only git-lfs's pointer to a large file; run in its folder: git lfs pull"
MARKED = "can't be understood: it begins with a byte order mark; save it as UTF-8 without one"
CONFIG_BYTES = 2**20
# tokenizer.json of the largest vocabularies there are, 262,144 words, has 33 MB.
MODEL_BYTES = 256 * 2**20


def is_pointer(path: Path) -> bool:
    """Whether git-lfs keeps the file elsewhere. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


class UnreadableError(Exception):
    """str() is what is wrong, as the end of a sentence that begins with the file."""


def toml(path: Path) -> dict[str, Any]:
    """A file of the user's, whatever mark it begins with. Raises UnreadableError, and
    FileNotFoundError when there is none."""
    try:
        return tomllib.loads(configuration(path))
    except (ValueError, RecursionError) as error:
        told = str(error) or "it is nested too deep"
        raise UnreadableError(f"is not valid TOML: {told}") from error


def configuration(path: Path) -> str:
    """The text of such a file, without the mark. Raises as toml() does."""
    data = _bytes(path, CONFIG_BYTES)
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"is not UTF-8 text (line {line}); save it as UTF-8") from error


def model_text(path: Path) -> str:
    """A text file of a model folder. Raises WeightsError, and FileNotFoundError."""
    try:
        data = _bytes(path, MODEL_BYTES)
        if data.startswith(POINTER):
            raise UnreadableError(FETCH_POINTERS)
        if data.startswith(tuple(MARKS)):  # the libraries that read it too don't take one
            raise UnreadableError(MARKED)
        return data.decode("utf-8")
    except UnreadableError as error:
        raise WeightsError(f"{path} {error}.") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} can't be understood: it is not UTF-8 text.") from error


def model_template(path: Path) -> str:
    """One that nobody but us reads, so that marks and odd bytes are no matter."""
    try:
        return _bytes(path, MODEL_BYTES).decode("utf-8-sig", "replace")
    except UnreadableError as error:
        raise WeightsError(f"{path} {error}.") from error


def model_json(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object of a model folder, `default` where there is no file. Raises WeightsError."""
    try:
        read = json.loads(model_text(path))
    except FileNotFoundError as error:
        if default is not None:
            return default
        raise WeightsError(f"{path.parent} has no {path.name}.") from error
    except (ValueError, RecursionError) as error:
        told = str(error) if isinstance(error, ValueError) else "it is nested too deep"
        raise WeightsError(f"{path} can't be understood: {told}.") from error
    if not isinstance(read, dict):
        raise WeightsError(f"{path} can't be understood: it is no JSON object.")
    return read


def _bytes(path: Path, most: int) -> bytes:
    try:
        # A pipe that nobody writes to would keep whoever opens it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableError("is no regular file")
            data = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"can't be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in its name
        raise UnreadableError("can't be read: its name is none") from error
    if len(data) > most:
        raise UnreadableError(f"is larger than {most // 2**20} MiB")
    return data
