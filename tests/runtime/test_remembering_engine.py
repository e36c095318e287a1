"""The memory at work in the engine: the tiny network knows nothing, the window's texts do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from engine_bench import Bench

from model_runtime.decoding.mixing import Trust
from model_runtime.recall.mailbox import Letter

ALWAYS = Trust(bias=50.0, match=0.0, agreement=0.0, places=0.0, network=0.0)
PREFIX = "first = 1\nconnection.send_ev"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A model that trusts the memory wherever it says something."""
    made = Bench(tmp_path)
    made.engine.model = dataclasses.replace(made.engine.model, trust=ALWAYS)
    return made


def completed(bench: Bench, **fields: object) -> list[str]:
    fields = {"max_new_tokens": 40, "max_lines": 1, "document": "b.py", **fields}
    return [candidate.text for candidate in bench.ask(PREFIX, **fields).candidates]


def test_a_line_of_another_document_is_written_as_it_stands_there(bench: Bench) -> None:
    bench.engine.memory.take(Letter(1, "a.py", "server.send_everything(now)\nnext()\n"))
    assert completed(bench) == ["erything(now)"]


def test_another_windows_documents_are_not_offered(bench: Bench) -> None:
    bench.engine.memory.take(Letter(2, "a.py", "server.send_everything(now)\nnext()\n"))
    assert completed(bench) != ["erything(now)"]


def test_a_model_without_trust_writes_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    alone = completed(bench)
    bench.engine.memory.take(Letter(1, "a.py", "server.send_everything(now)\nnext()\n"))
    assert completed(bench) == alone


def test_several_candidates_and_several_lines(bench: Bench) -> None:
    bench.engine.memory.take(Letter(1, "a.py", "server.send_everything(now)\nnext()\nlast()\n"))
    texts = completed(bench, candidates=2, max_lines=2, temperature=0.1)
    assert texts[0] == "erything(now)\nnext()"
