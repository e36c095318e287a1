"""What need not be typed: `scripts/bench keystrokes FOLDER [--places 40] [--lines 4] [--seed 1]`.

In files of held-out packages some lines are taken out and typed again through the real server and
the real runtime, a character at a time, with a request after each, as an editor makes them. Who
types takes a suggestion, with one key, when it is all the rest of the line, and types on otherwise.
The package is the workspace; the file is the only one that is open. A line's indentation comes with
the key for the new line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wire import Wire, at, change_at

from benchmarks import cursors
from benchmarks.in_process import LANGUAGE_IDS
from benchmarks.table import percentiles, row, title

INLINE = "textDocument/inlineCompletion"
AUTOMATIC = 2
BUILT = ("ready", "off")


@dataclass(slots=True)
class Tally:
    """`typed` keys in place of `characters`; of the suggestions `shown`, which count once however
    long one types through them, so many were all the rest of a line."""

    characters: int = 0
    typed: int = 0
    lines: int = 0
    shown: int = 0
    right: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("characters", "typed", "lines", "shown", "right"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds += other.seconds


def measure(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("RUNTIME", "STATE", "CACHE"):
            os.environ[f"CODEGEEX_{name}_DIR"] = folder
        os.environ["CODEGEEX_CONFIG"] = str(Path(folder) / "config.toml")
        try:
            by_language = _typed(options)
        finally:
            command = [sys.executable, "-m", "model_runtime", "stop"]
            subprocess.run(command, capture_output=True, check=False)
    total = Tally()
    title(
        f"Typing {options.lines} lines at each of {options.places} places, codegeex-nano",
        *("keys saved", "lines by one key", "shown a line", "right", "answer, p50 / p95"),
    )
    for language, tally in by_language.items():
        total.add(tally)
        row(language, *_cells(tally))
    row("all", *_cells(total))
    if options.json:
        saved = {name: 1 - one.typed / one.characters for name, one in by_language.items()}
        options.json.write_text(json.dumps(saved, indent=1), encoding="utf-8")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench keystrokes")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="language/package/path in it")
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--lines", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settings", type=json.loads, help="the editor's, as JSON", default={})
    parser.add_argument("--json", type=Path, help="write the shares saved to this file")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"There is no folder {options.folder}; scripts/nano/unpack makes one.")
    return options


def _typed(options: argparse.Namespace) -> dict[str, Tally]:
    by_language: dict[str, Tally] = {}
    for cursor in cursors.choose(options.folder, options.places, options.seed):
        package = options.folder / cursor.path.relative_to(options.folder).parts[0]
        package /= cursor.path.relative_to(options.folder).parts[1]
        with Wire() as wire:
            wire.initialize(options=options.settings, rootUri=package.absolute().as_uri())
            wire.wait_notification("codegeex/status", lambda told: told["phase"] == "ready")
            tally = _at(wire, cursor, options.lines)
        by_language.setdefault(cursor.language, Tally()).add(tally)
    return by_language


def _at(wire: Wire, cursor: cursors.Cursor, count: int) -> Tally:
    """Type the line of the cursor and those behind it."""
    above = cursor.prefix.split("\n")[:-1]
    line, *below = (cursor.prefix.rpartition("\n")[2] + cursor.gold + cursor.suffix).split("\n")
    wanted, rest = [line, *below[: count - 1]], below[count - 1 :]
    page = _Page(wire, cursor, above, rest)
    wire.wait_notification("codegeex/status", lambda told: told["index"]["phase"] in BUILT)
    tally = Tally()
    for text in wanted:
        page.new_line(text[: len(text) - len(text.lstrip())])
        tally.characters += len(text.strip()) + 1
        tally.lines += 1
        tally.typed += 1
        _type(page, text.rstrip(), tally)
    return tally


def _type(page: _Page, text: str, tally: Tally) -> None:
    typed_through: str | None = None
    while rest := text[len(page.line) :]:
        begin = time.perf_counter()
        offered = page.offered()
        tally.seconds.append(time.perf_counter() - begin)
        tally.shown += offered is not None and offered != typed_through
        typed_through = offered[1:] if offered and offered[0] == rest[0] else None
        tally.typed += 1
        if offered == rest:
            tally.right += 1
            page.write(rest)
        else:
            page.write(rest[0])


class _Page:
    """An open document that is typed into, at the end of one of its lines."""

    def __init__(
        self, wire: Wire, cursor: cursors.Cursor, above: list[str], below: list[str]
    ) -> None:
        self._wire = wire
        self._uri = cursor.path.absolute().as_uri()
        self._number = len(above) - 1
        self._version = 1
        self.line = above[-1] if above else ""
        language = LANGUAGE_IDS.get(cursor.language, cursor.language.lower())
        wire.open(self._uri, "\n".join([*above, *below]), language=language)

    def new_line(self, indentation: str) -> None:
        if self._number < 0:
            self._change((0, 0), (0, 0), f"{indentation}\n")
        else:
            end = (self._number, _utf16(self.line))
            self._change(end, end, f"\n{indentation}")
        self._number, self.line = self._number + 1, indentation

    def write(self, text: str) -> None:
        end = (self._number, _utf16(self.line))
        self._change(end, end, text)
        self.line += text

    def offered(self) -> str | None:
        """What would be shown behind what is written, unasked."""
        params = {
            "textDocument": {"uri": self._uri},
            "position": at(self._number, _utf16(self.line)),
            "context": {"triggerKind": AUTOMATIC},
        }
        answer = self._wire.call(INLINE, params)
        items = answer["items"] if isinstance(answer, dict) else answer or []
        return str(items[0]["insertText"]) if items else None

    def _change(self, begin: tuple[int, int], end: tuple[int, int], text: str) -> None:
        self._version += 1
        self._wire.change(self._uri, self._version, change_at(begin, end, text))


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cells(tally: Tally) -> Iterator[str]:
    yield f"{1 - tally.typed / tally.characters:.1%}"
    yield f"{tally.right / tally.lines:.0%}"
    yield f"{tally.shown / tally.lines:.1f}"
    yield f"{tally.right / max(1, tally.shown):.0%}"
    yield percentiles(tally.seconds)
