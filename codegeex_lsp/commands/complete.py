"""`codegeex-lsp complete FILE:LINE:COL`: the editor's completion path on a file, without an editor.

The completion goes to stdout exactly as it would be inserted, where it came from and the time to
stderr.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from codegeex_lsp.completion.completer import Answer, Completer
from codegeex_lsp.config.settings import Settings
from codegeex_lsp.files import reading
from codegeex_lsp.files.reading import UnreadError
from codegeex_lsp.runtime.client import Phase, RuntimeClient
from codegeex_lsp.runtime.reasons import sentence
from codegeex_lsp.text.documents import Position, Snapshot, content_length
from model_runtime.wire.configuration import load_trusted
from model_runtime.wire.protocol import Reason

# Loading the embedded model takes about a second; a large one read from a cold disk takes minutes.
READY_TIMEOUT_S = 300.0


class _BadPlaceError(Exception):
    """The argument names no place a cursor can stand at; str() says why."""


@dataclass(frozen=True, slots=True)
class _Target:
    snapshot: Snapshot
    position: Position


@dataclass(frozen=True, slots=True)
class Options:
    """How many candidates of at most how many lines; 0 lines means no limit."""

    candidates: int
    lines: int


def run(place: str, wanted: Options, *, context_lines: int, as_json: bool) -> int:
    """Exit code 0 with a completion, 1 when there is none (and why), 2 for a bad place."""
    try:
        where = _find(place)
    except _BadPlaceError as error:
        print(f"codegeex-lsp complete: {error}", file=sys.stderr)
        return 2
    model, answer = asyncio.run(_answer(where, wanted))
    if as_json:
        print(json.dumps({"model": model, **asdict(answer)}))
        return 0 if answer.suggestions else 1
    if answer.reason is not None:
        print(answer.detail or sentence(answer.reason), file=sys.stderr)
        return 1
    _show(where, answer, context_lines)
    sources = ", ".join(suggestion.source for suggestion in answer.suggestions)
    print(f"[{model}, from {sources}, {answer.elapsed_ms:.0f} ms]", file=sys.stderr)
    return 0


def _find(place: str) -> _Target:
    name, *numbers = place.rsplit(":", 2)
    try:
        path, (line, column) = Path(name), map(int, numbers)
    except ValueError:
        problem = f"expected FILE:LINE:COL with numbers from 1, not {place[:200]!r}"
        raise _BadPlaceError(problem) from None
    # Without a language id the file's name tells the language.
    text = _read(path)
    snapshot = Snapshot.of(path.resolve().as_uri(), 0, "", text)
    if not 1 <= line <= len(snapshot.lines):
        raise _BadPlaceError(f"{path} has {len(snapshot.lines)} lines; there is no line {line}")
    width = content_length(snapshot.lines[line - 1])
    if not 1 <= column <= width + 1:
        raise _BadPlaceError(
            f"line {line} of {path} has columns 1 to {width + 1}; there is no column {column}"
        )
    return _Target(snapshot, Position(line - 1, column - 1))


def _read(path: Path) -> str:
    limit = Settings().completion.max_file_size
    try:
        # No character is longer than four bytes.
        text = reading.text(path, 4 * limit, links=True)
    except UnreadError as error:
        raise _BadPlaceError(f"{path} {error}") from None
    if len(text) > limit:
        raise _BadPlaceError(f"{path} is too large: more than {limit:,} characters")
    return text


async def _answer(where: _Target, wanted: Options) -> tuple[str, Answer]:
    trusted, complaints = load_trusted(os.environ)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    settings = Settings()
    completion = replace(
        settings.completion, max_candidates=wanted.candidates, max_lines=wanted.lines
    )
    settings = replace(settings, completion=completion)
    runtime = RuntimeClient(trusted)
    try:
        state = await runtime.ready(READY_TIMEOUT_S)
        if state.phase is not Phase.READY:
            return trusted.model, Answer(reason=Reason.LOAD_FAILED, detail=state.message)
        completer = Completer(runtime, lambda: settings, lambda snapshot: True)
        answer = await completer.complete(where.snapshot, where.position, invoked=True)
        return runtime.welcome.model if runtime.welcome else trusted.model, answer
    finally:
        await runtime.close()


def _show(where: _Target, answer: Answer, context_lines: int) -> None:
    """The completions; with context also the lines above and the typed part of the line."""
    before = ""
    if context_lines:
        first = max(0, where.position.line - context_lines)
        lines = where.snapshot.lines
        before = "".join(lines[first : where.position.line])
        before += lines[where.position.line][: where.position.column]
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    shown = "".join(f"{before}{bold}{one.text}{plain}\n" for one in answer.suggestions)
    # Like the file it is for: UTF-8 and its own line ends, whatever the terminal's are.
    sys.stdout.buffer.write(shown.encode())
    sys.stdout.buffer.flush()
