"""The workspace index: does it find, does it help, and what does it cost.

    scripts/bench retrieval [FOLDER] [--cursors 160] [--seed 1] [--embedding MODEL]

Search: sentences about functions of Python's standard library, the docstrings' own first ones, with
those docstrings taken out of the indexed copy; the mean reciprocal rank counts the first ten
places, by words alone and, where there is an embedding model, by words and vectors. With a FOLDER
of held-out packages (benchmarks/quality.py says how to make one) also whether snippets help: each
cursor's package is indexed, and nothing but the file at hand is open.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from benchmarks.cursors import Cursor, choose, read
from benchmarks.in_process import LINE_TOKENS, Runtime
from benchmarks.judging import judge
from benchmarks.table import percentiles, row, title
from benchmarks.vectors import Encoder, installed
from codegeex_lsp.index.files import Bounds
from codegeex_lsp.index.places import Place
from codegeex_lsp.index.store import Store
from codegeex_lsp.index.workspace import Workspace
from codegeex_lsp.text.documents import Position, Snapshot
from codegeex_lsp.workspace.snippets import MOST_SNIPPETS, SNIPPET_CHARACTERS, around
from model_runtime.wire.protocol import Generate, Result, Snippet

QUESTIONS = 50
TOP = 10
LEAST_WORDS = 5

BUILD = """
import re, sys, time
from codegeex_lsp.index.files import Bounds
from codegeex_lsp.index.store import Store
from codegeex_lsp.index.workspace import Workspace
Workspace(Store(sys.argv[1]), [sys.argv[2]], Bounds()).walk()
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(time.process_time(), peak)
"""


@dataclass(frozen=True)
class Question:
    """A sentence about the function at `line` of the file `path`, counted from 0."""

    text: str
    path: Path
    line: int


def measure(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench retrieval")
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--cursors", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--embedding", default=installed(), metavar="MODEL")
    options = parser.parse_args(arguments)
    if options.folder and not options.folder.is_dir():
        parser.error(f"There is no folder {options.folder}; scripts/nano/unpack makes one.")
    with tempfile.TemporaryDirectory() as name:
        _search(Path(name), options.seed, options.embedding)
    if options.folder:
        _help(options.folder, options.cursors, options.seed)


# --- search -----------------------------------------------------------------------------------


def _search(folder: Path, seed: int, embedding: str) -> None:
    """Builds in a process of its own, so that the memory is the index's alone."""
    library = folder / "library"
    questions = _copied(Path(sysconfig.get_paths()["stdlib"]), library, seed)
    database = folder / "index.db"
    seconds, peak = _built(library, database)
    store = Store(database)
    one = Workspace(store, [str(library)], Bounds())
    files, chunks = store.sizes()
    title("Index of Python's standard library", "")
    row("files / places", f"{files:,} / {chunks:,}")
    row("build, CPU", f"{seconds:.1f} s")
    row("peak memory of the index's process", f"{peak / 2**20:.0f} MiB")
    row("database", f"{database.stat().st_size / 1e6:.0f} MB")
    _asked("by words", questions, lambda text: one.search(text, TOP, "", lambda: False))
    if embedding:
        _search_by_both(one, embedding, questions)
    store.close()


def _search_by_both(one: Workspace, embedding: str, questions: Sequence[Question]) -> None:
    encoder = Encoder(embedding)
    begin = time.perf_counter()
    count = encoder.complete(one)
    row(f"vectors ({encoder.description})", f"{count:,} in {time.perf_counter() - begin:.0f} s")
    sentences = [question.text for question in questions]
    vectors = dict(zip(sentences, encoder.vectors(sentences), strict=True))

    def search(text: str) -> Sequence[Place]:
        return one.search_by_both(text, encoder.model, vectors[text], TOP, "", lambda: False)[0]

    _asked("by words and vectors", questions, search)


def _asked(
    way: str, questions: Sequence[Question], search: Callable[[str], Sequence[Place]]
) -> None:
    ranks, times = [], []
    for question in questions:
        begin = time.perf_counter()
        places = search(question.text)
        times.append(time.perf_counter() - begin)
        ranks.append(_rank(question, places))
    row(f"{len(questions)} sentences, MRR@{TOP}, {way}", f"{mean(map(_worth, ranks)):.3f}")
    row("found first / among ten", f"{ranks.count(1)} / {sum(map(bool, ranks))}")
    row("a search, p50 / p95", percentiles(times))


def _built(library: Path, database: Path) -> tuple[float, int]:
    """CPU seconds and peak resident bytes."""
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, database, library], text=True, stdout=subprocess.PIPE
    ) as process:
        told, _ = process.communicate()
    seconds, kibibytes = told.split()
    return float(seconds), int(kibibytes) * 1024


def _copied(source: Path, target: Path, seed: int) -> list[Question]:
    """The library without its tests and without the chosen functions' docstrings."""
    paths = [
        path
        for path in sorted(source.rglob("*.py"))
        if not {"site-packages", "test", "tests", "idlelib"} & set(path.relative_to(source).parts)
    ]
    chosen = random.Random(seed)
    found = [(path, node) for path in paths for node in _described(read(path))]
    picked = chosen.sample(found, QUESTIONS)
    questions = []
    for path in paths:
        text = read(path)
        mine = [node for other, node in picked if other == path]
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_without_docstrings(text, mine), encoding="utf-8")
        questions += [Question(_sentence(node), copy, node.lineno - 1) for node in mine]
    return questions


def _described(text: str) -> Iterator[ast.FunctionDef]:
    """Functions whose docstring begins with a sentence of some words that doesn't name them."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            sentence = _sentence(node)
            if len(sentence.split()) >= LEAST_WORDS and node.name not in sentence:
                yield node


def _sentence(node: ast.FunctionDef) -> str:
    paragraph = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0]


def _without_docstrings(text: str, nodes: Sequence[ast.FunctionDef]) -> str:
    """Blank lines in their place keep the numbers of the others."""
    lines = text.split("\n")
    for node in nodes:
        said = node.body[0]
        last = said.end_lineno or said.lineno
        lines[said.lineno - 1 : last] = [""] * (last - said.lineno + 1)
    return "\n".join(lines)


def _rank(question: Question, places: Sequence[Place]) -> int:
    """From 1; 0 when it is not among them."""
    for rank, place in enumerate(places, 1):
        if place.path == str(question.path) and place.first <= question.line <= place.last:
            return rank
    return 0


def _worth(rank: int) -> float:
    return 1 / rank if rank else 0.0


# --- snippets -----------------------------------------------------------------------------------


def _help(folder: Path, count: int, seed: int) -> None:
    cursors = [cursor for cursor in choose(folder, count, seed) if cursor.others]
    runtime = Runtime("codegeex-nano")
    title(
        f"Snippets of the package's other files, {len(cursors)} cursors, {runtime.model.name}",
        *("edit similarity", "right prefix", "exact"),
    )
    indexes: dict[Path, Workspace] = {}
    for name, number in (("retrieval off", 0), ("retrieval on", MOST_SNIPPETS)):
        verdicts = []
        for cursor in cursors:
            snippets = _snippets(cursor, folder, indexes, number) if number else ()
            text = _completed(runtime, cursor, snippets)
            verdicts.append(judge(text, cursor, runtime.pieces(text)))
        figures = (
            mean(one.similarity for one in verdicts),
            mean(one.prefix for one in verdicts),
            mean(one.exact for one in verdicts),
        )
        row(name, *(f"{100 * figure:.1f} %" for figure in figures))


def _snippets(
    cursor: Cursor, folder: Path, indexes: dict[Path, Workspace], number: int
) -> tuple[Snippet, ...]:
    language, package = cursor.path.relative_to(folder).parts[:2]
    root = folder / language / package
    if root not in indexes:
        indexes[root] = Workspace(Store(":memory:"), [str(root)], Bounds())
        indexes[root].walk()
    before = cursor.prefix.split("\n")
    snapshot = Snapshot.of("", 1, "", cursor.prefix + cursor.suffix)
    text = around(snapshot, Position(len(before) - 1, len(before[-1])))
    places = indexes[root].alike(text, str(cursor.path), number, lambda: False)
    return tuple(
        Snippet(os.path.relpath(place.path, root), place.text[:SNIPPET_CHARACTERS])
        for place in places
    )


def _completed(runtime: Runtime, cursor: Cursor, snippets: tuple[Snippet, ...]) -> str:
    before, behind = cursor.request_texts
    request = Generate(
        1,
        before,
        behind,
        language=cursor.language,
        document=cursor.path.as_uri(),
        max_new_tokens=LINE_TOKENS,
        max_lines=1,
    )
    reply = runtime.answer(replace(request, snippets=snippets), cursor, memory=True, others=False)
    return reply.candidates[0].text if isinstance(reply, Result) else ""
