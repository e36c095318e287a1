"""Message bodies out of a byte stream, as leniently as can be told apart.

LSP's frames are "Content-Length: N", a blank line and N bytes. Case, blanks and bare line feeds do
not matter here; after a frame that makes no sense the search goes on for the next header. Knows
nothing of JSON; the reader thread of transport.py iterates over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from codegeex_lsp.lsp.errors import InvalidRequestError, MessageError, ParseError

MAX_BODY = 64 * 1024 * 1024
# A longer body is read and thrown away up to here; a header that says more is garbage.
MAX_SKIPPED = 1024 * 1024 * 1024
MAX_HEADER = 64 * 1024
READ_SIZE = 64 * 1024

_BLANK_LINE = re.compile(rb"\n\r?\n")
# Not bound to the line's start: what is left of a broken frame stands before the next header.
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,12})[ \t]*\r?$", re.I | re.M)


class _EndOfStream(Exception):  # noqa: N818  it is no error
    pass


class Frames:
    """Iterates over the bodies that `read` delivers; ends when `read` returns b"".

    A frame that can't be read is one MessageError in their place; until a good frame follows there
    is no second.
    """

    def __init__(self, read: Callable[[int], bytes], max_body: int = MAX_BODY) -> None:
        self._read = read
        self._max_body = max_body
        self._buffer = bytearray()

    def __iter__(self) -> Iterator[bytes | MessageError]:
        lost = False
        try:
            while True:
                length = self._header()
                if length is None or length > MAX_SKIPPED:
                    if not lost:
                        yield ParseError("A message has no usable Content-Length header.")
                    lost = True
                    continue
                lost = False
                if length > self._max_body:
                    self._skip(length)
                    limit = self._max_body // (1024 * 1024)
                    yield InvalidRequestError(f"A message is longer than {limit} MB.")
                else:
                    yield self._take(length)
        except _EndOfStream:
            return

    def _header(self) -> int | None:
        """The length that the next header says, None when it says none."""
        header = b""
        while not header.strip():
            while (end := _BLANK_LINE.search(self._buffer)) is None:
                if len(self._buffer) > MAX_HEADER:
                    # Keep what may be the beginning of a header.
                    del self._buffer[:-256]
                    return None
                self._fill(READ_SIZE)
            header = bytes(self._buffer[: end.end()])
            del self._buffer[: end.end()]
        lengths = _LENGTH.findall(header)
        return int(lengths[-1]) if lengths else None

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._fill(max(READ_SIZE, length - len(self._buffer)))
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _skip(self, length: int) -> None:
        while length > len(self._buffer):
            length -= len(self._buffer)
            self._buffer.clear()
            self._fill(READ_SIZE)
        del self._buffer[:length]

    def _fill(self, size: int) -> None:
        data = self._read(size)
        if not data:
            raise _EndOfStream
        self._buffer += data
