"""The one way to a file of the user's or of a workspace: regular ones alone, of so many bytes.

A device, a pipe or a socket is never opened: some never end, some do things when they are opened.
What lies in a workspace is nobody's word, so no link is followed there; the user's own files may
be links. Called by whatever reads such a file; which one is the caller's to say.
"""

from __future__ import annotations

import os
import stat
from enum import StrEnum, auto
from io import FileIO
from pathlib import Path

from codegeex_lsp.files import decoding

# Not all systems have all of them. A pipe that takes a file's place meanwhile makes nobody wait.
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NOCTTY", "O_NONBLOCK")
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class Unread(StrEnum):
    """Why a file has no text for us."""

    MISSING = auto()
    NO_FILE = auto()  # a folder, a device, a pipe, or a link where none is followed
    LARGE = auto()
    NO_TEXT = auto()
    REFUSED = auto()  # by the system


class UnreadError(Exception):
    """str() goes on after the file's name: "is not a file"."""

    def __init__(self, why: Unread, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


def text(path: str | Path, most_bytes: int, *, links: bool) -> str:
    """The file's text, its line ends as they are. Raises UnreadError."""
    try:
        return decoding.text(data(path, most_bytes, links=links))
    except decoding.NoTextError:
        raise UnreadError(Unread.NO_TEXT, "is no text in a known encoding") from None


def data(path: str | Path, most_bytes: int, *, links: bool) -> bytes:
    """The file's bytes. `links` says whether it may be a link. Raises UnreadError."""
    try:
        before = os.stat(path, follow_symlinks=links)
        _check(before, most_bytes)
        descriptor = os.open(path, _FLAGS | (0 if links else _NO_LINK))
        with open(descriptor, "rb", buffering=0) as file:
            about = os.fstat(descriptor)
            _check(about, most_bytes)
            # Where the system has no O_NOFOLLOW a link may have taken the file's place.
            if not links and not os.path.samestat(before, about):
                raise UnreadError(Unread.NO_FILE, "was replaced meanwhile")
            return _read(file, most_bytes)
    except OSError as error:
        why = Unread.MISSING if isinstance(error, FileNotFoundError) else Unread.REFUSED
        raise UnreadError(why, f"can't be read: {error.strerror}") from None
    except ValueError:
        raise UnreadError(Unread.MISSING, "can't be read: no file has such a name") from None


def _check(about: os.stat_result, most_bytes: int) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise UnreadError(Unread.NO_FILE, "is not a file")
    if about.st_size > most_bytes:
        raise _too_large(most_bytes)


def _read(file: FileIO, most_bytes: int) -> bytes:
    """All of it: a file may be another size than it says, as in /proc."""
    read = bytearray()
    while piece := file.read(min(1 << 16, most_bytes + 1 - len(read))):
        read += piece
        if len(read) > most_bytes:
            raise _too_large(most_bytes)
    return bytes(read)


def _too_large(most_bytes: int) -> UnreadError:
    return UnreadError(Unread.LARGE, f"is too large: more than {most_bytes:,} bytes")
