"""Search by an encoder taught in the test, through the real server, index and runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import taught_encoder
from editor import Editor

from codegeex_lsp.index import words

# transformers is imported first, which takes long on a busy machine.
PATIENCE_S = 90.0

LESSONS = [
    ("put things in order", "def arrange(rows):\n    return sorted(rows)"),
    ("fetch a page from the network", "def download(url):\n    return urlopen(url).read()"),
    ("how long did it take", "def elapsed(begin):\n    return time.monotonic() - begin"),
    ("make letters small", "def lowered(text):\n    return text.lower()"),
    ("keep nothing twice", "def unique(values):\n    return list(dict.fromkeys(values))"),
    ("which one is biggest", "def largest(numbers):\n    return max(numbers)"),
]


@pytest.fixture(scope="module")
def home(user: Path, stop_the_runtime: Callable[[], None]) -> Iterator[Path]:
    """A user with an encoder and a project of one file a lesson."""
    encoder = taught_encoder.write_folder(user / "taught", LESSONS)
    (user / "project").mkdir()
    for number, (_, code) in enumerate(LESSONS):
        (user / "project" / f"{number}.py").write_text(code + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODEGEEX_CACHE_DIR", str(user / "cache"))
        patch.delenv("CODEGEEX_MODEL")
        patch.setenv("CODEGEEX_EMBEDDING_MODEL", str(encoder))
        yield user
        stop_the_runtime()


@pytest.fixture
def window(home: Path) -> Iterator[Editor]:
    with Editor() as window:
        window.initialize({}, rootUri=(home / "project").as_uri())
        window.ready()
        yield window


def search(window: Editor, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = window.call("codegeex/search", {"query": query, "limit": 3})
    return answer


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return found


def test_no_question_has_a_word_of_its_code() -> None:
    for question, code in LESSONS:
        assert not {*words.asked(question)} & {*words.asked(code)}


def test_every_question_finds_its_code_and_words_alone_find_none(window: Editor) -> None:
    begin = search(window, LESSONS[0][0])
    assert begin["places"] == []
    assert begin["note"].endswith("found by words alone.")
    until(lambda: "note" not in search(window, LESSONS[0][0]))
    for number, (question, _) in enumerate(LESSONS):
        assert search(window, question)["places"][0]["path"] == f"{number}.py"


def test_without_a_runtime_words_still_find(
    window: Editor, stop_the_runtime: Callable[[], None]
) -> None:
    """And the next runtime needs no vector anew."""
    until(lambda: "note" not in search(window, "arrange"))
    stop_the_runtime()
    answer = until(lambda: (it := search(window, "arrange rows")) and "note" in it and it)
    assert answer["note"].endswith("found by words alone.")
    assert answer["places"][0]["path"] == "0.py"
    until(lambda: "note" not in search(window, "arrange"))
    assert search(window, LESSONS[2][0])["places"][0]["path"] == "2.py"
