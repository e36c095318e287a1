"""What drafts save: the same completions with and without them, on real files.

The engine's clock is the processor's time of this process, so that what else the machine does
matters little; each completion is made both ways, one after the other, in turns first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_runtime.engine.counters import Spent, Work
from model_runtime.engine.loading import load_engine
from model_runtime.engine.scheduler import Scheduler
from model_runtime.wire.protocol import Candidate, Failure, Generate, Result

CLIENT = 1
SUFFIXES = {
    ".c": "C",
    ".cc": "C++",
    ".cpp": "C++",
    ".go": "Go",
    ".h": "C++",
    ".java": "Java",
    ".js": "JavaScript",
    ".py": "Python",
    ".rs": "Rust",
    ".ts": "TypeScript",
}
SMALLEST, LARGEST = 1_000, 200_000
# What the completer sends of a long file: three quarters before.
MAX_BEFORE, MAX_AFTER = 30_000, 10_000


@dataclass(frozen=True)
class Place:
    """A cursor in a file: the rest of its line is taken out."""

    path: Path
    prefix: str
    suffix: str

    def request(self, number: int, tokens: int, lines: int) -> Generate:
        return Generate(
            number,
            self.prefix,
            self.suffix,
            language=SUFFIXES[self.path.suffix],
            document=self.path.as_uri(),
            max_new_tokens=tokens,
            max_lines=lines,
        )


def places(folder: Path, count: int, seed: int = 1) -> list[Place]:
    """One in each of `count` files, chosen by `seed`. Raises SystemExit without source files."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in SUFFIXES
        and path.is_file()
        and not {".git", ".venv", "node_modules"} & set(path.parts)
        and SMALLEST <= path.stat().st_size <= LARGEST
    ]
    if not files:
        raise SystemExit(f"{folder} holds no source files; name a folder with some.")
    chosen = random.Random(seed)
    chosen.shuffle(files)
    return [place for path in files for place in _place(path, chosen)][:count]


def _place(path: Path, chosen: random.Random) -> Iterator[Place]:
    lines = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").split("\n")
    full = [number for number, line in enumerate(lines) if len(line.strip()) > 4]
    if not full:
        return
    number = chosen.choice(full)
    column = chosen.randrange(len(lines[number]) - len(lines[number].lstrip()), len(lines[number]))
    prefix = "\n".join([*lines[:number], lines[number][:column]])
    suffix = "\n".join(["", *lines[number + 1 :]])
    yield Place(path, prefix[-MAX_BEFORE:], suffix[:MAX_AFTER])


@dataclass
class Ways:
    """Totals with and without drafts, in seconds of the processor; and texts that differed."""

    with_drafts: Spent
    without: Spent
    different: int = 0


class Engine:
    """One engine whose seconds are the processor's; `drafting` switches its drafts."""

    def __init__(self, model: str) -> None:
        self._answers: list[Result | Failure] = []
        self._work = Work()
        self._scheduler = Scheduler(
            lambda job, failure: self._answers.append(failure), clock=time.process_time
        )
        self.engine = load_engine(
            model, "cpu", "", self._scheduler, lambda job, reply: self._answers.append(reply),
            self._work,
        )  # fmt: skip

    def ask(self, request: Generate, *, drafting: bool) -> tuple[tuple[Candidate, ...], Spent]:
        """The candidates, and what they cost."""
        self.engine.drafting = drafting
        self._work.total = Spent()
        self._answers.clear()
        self._scheduler.submit(CLIENT, request)
        while not self._answers:
            self.engine.turn()
        reply = self._answers[-1]
        return reply.candidates if isinstance(reply, Result) else (), self._work.total


def compare(engine: Engine, cursors: Sequence[Place], tokens: int, lines: int) -> Ways:
    """Every completion both ways. The prompt is in the cache for both after the first request."""
    ways = Ways(Spent(), Spent())
    for number, place in enumerate(cursors):
        engine.ask(place.request(3 * number, 1, lines), drafting=False)
        texts = []
        for drafting in (True, False) if number % 2 else (False, True):
            request = place.request(3 * number + 1 + drafting, tokens, lines)
            found, spent = engine.ask(request, drafting=drafting)
            texts.append([one.text for one in found])
            total = ways.with_drafts if drafting else ways.without
            total.decode_s += spent.decode_s
            total.generated_tokens += spent.generated_tokens
            total.steps += spent.steps
            total.drafted_tokens += spent.drafted_tokens
            total.accepted_tokens += spent.accepted_tokens
        ways.different += texts[0] != texts[1]
    return ways
