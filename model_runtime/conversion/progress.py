"""How far the conversion is: one line that changes on a terminal, else a line a file."""

from __future__ import annotations

from typing import TextIO


class Progress:
    """`total` in bytes, `files` to come. Leaving it ends the line."""

    def __init__(self, stream: TextIO, total: int, files: int) -> None:
        self._stream = stream
        self._total = total
        self._files = files
        self._written = 0
        self._finished = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._stream.isatty():
            print(file=self._stream)

    def note(self, sentence: str) -> None:
        print(sentence, file=self._stream, flush=True)

    def wrote(self, size: int) -> None:
        self._written += size
        if self._stream.isatty():
            print(f"\r{self._line()}", end="", file=self._stream, flush=True)

    def finished(self, file: str) -> None:
        self._finished += 1
        begin, end = ("\r", "") if self._stream.isatty() else (f"{file}: ", "\n")
        print(f"{begin}{self._line()}", end=end, file=self._stream, flush=True)

    def _line(self) -> str:
        return (
            f"{self._written / 1e9:.2f} of {self._total / 1e9:.2f} GB, "
            f"{self._finished} of {self._files} files"
        )
