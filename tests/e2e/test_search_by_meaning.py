"""Search by an encoder taught in the test, through the real server, index and runtime."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import taught_encoder
from editor import Editor
from wire import ROOT

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
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user with an encoder and a project of one file a lesson."""
    home = tmp_path_factory.mktemp("user")
    (home / "config.toml").write_text("idle_exit_s = 1\n")
    encoder = taught_encoder.write_folder(home / "taught", LESSONS)
    (home / "project").mkdir()
    for number, (_, code) in enumerate(LESSONS):
        (home / "project" / f"{number}.py").write_text(code + "\n")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("CODEGEEX_RUNTIME_DIR", folder)
        patch.setenv("CODEGEEX_STATE_DIR", folder)
        patch.setenv("CODEGEEX_CACHE_DIR", str(home / "cache"))
        patch.setenv("CODEGEEX_CONFIG", str(home / "config.toml"))
        patch.setenv("CODEGEEX_DEVICE", "cpu")
        patch.delenv("CODEGEEX_MODEL", raising=False)
        patch.setenv("CODEGEEX_EMBEDDING_MODEL", str(encoder))
        yield home
        stop_the_runtime()


def stop_the_runtime() -> None:
    stop = [sys.executable, "-m", "model_runtime", "stop"]
    subprocess.run(stop, cwd=ROOT, check=False, capture_output=True, timeout=30)


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


def test_without_a_runtime_words_still_find(window: Editor) -> None:
    """And the next runtime needs no vector anew."""
    until(lambda: "note" not in search(window, "arrange"))
    stop_the_runtime()
    answer = until(lambda: (it := search(window, "arrange rows")) and "note" in it and it)
    assert answer["note"].endswith("found by words alone.")
    assert answer["places"][0]["path"] == "0.py"
    until(lambda: "note" not in search(window, "arrange"))
    assert search(window, LESSONS[2][0])["places"][0]["path"] == "2.py"
