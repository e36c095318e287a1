"""A real runtime whose libraries fail: what ran has its answer, everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_runtime import PANICKING
from model_runtime.protocol import (
    Chunk,
    Failure,
    Forget,
    Generate,
    Loading,
    Reason,
    Remember,
    Result,
    Snippet,
)
from processes import Runtime, until

SECRET = "password = 'hunter2'\n"
PANICS = f"{SECRET}{'a' * 50}b\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose tokenizer panics at PANICS."""
    tiny = pytest.importorskip("tiny", reason="torch isn't installed")
    description = tiny.tokenizer_json()
    split = {"type": "Split", "pattern": {"Regex": PANICKING}, "behavior": "Isolated"}
    description["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{**split, "invert": False}, description["pre_tokenizer"]],
    }
    made = tmp_path_factory.mktemp("panicking")
    return str(tiny.write_folder(made, tiny.config(context=8192), tokenizer=description))


class FaultyRuntime(Runtime):
    def __init__(self, folder: Path, model: str) -> None:
        super().__init__(folder / "run", model)
        self.faults = folder / "faults"
        self.faults.mkdir()
        program = Path(__file__).with_name("faulty_runtime.py")
        self.program = [str(program), str(self.faults)]
        self.environment["PYTHONPATH"] = str(program.parents[2])

    def fail(self, what: str, error: str = "") -> None:
        (self.faults / what).write_text(error, encoding="utf-8")

    def mend(self, what: str) -> None:
        (self.faults / what).unlink()

    def check_log(self, *words: str) -> None:
        """The words are in it, and nothing of what was typed."""
        text = self.log()
        assert all(word in text for word in words), text
        assert "hunter2" not in text
        assert "Traceback" not in text


@pytest.fixture
def faulty(tmp_path: Path, folder: str) -> Iterator[FaultyRuntime]:
    made = FaultyRuntime(tmp_path, folder)
    made.start()
    yield made
    made.end()


def check_failed(reply: Any, reason: Reason = Reason.ENGINE_ERROR) -> None:
    assert isinstance(reply, Failure), reply
    assert reply.reason == reason
    assert reply.message.endswith(".")
    assert "hunter2" not in reply.message


# --- a text that cannot be taken ------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"prefix": PANICS},
        {"suffix": PANICS},
        {"snippets": (Snippet("b.py", PANICS),)},
        {"path": PANICS, "repository": PANICS, "language": PANICS, "stop": (PANICS,)},
    ],
    ids=["prefix", "suffix", "snippet", "names"],
)
def test_a_text_that_panics_costs_its_request(
    faulty: FaultyRuntime, fields: dict[str, Any]
) -> None:
    client = faulty.client().ready()
    for number in range(1, 8):
        reply = client.ask(number, **fields)
        if isinstance(reply, Failure):
            check_failed(reply)
    assert isinstance(client.ask(8), Result)
    assert client.status()["state"] == Loading.READY
    faulty.end()
    assert faulty.processes[0].communicate() == ("", "")
    assert "hunter2" not in faulty.log()


def test_a_text_that_panics_is_not_remembered_and_others_are(faulty: FaultyRuntime) -> None:
    client = faulty.client().ready()
    client.send(Remember("a.py", "x = 1\n"))
    for number in range(8):
        client.send(Remember(f"bad {number}.py", PANICS))
    client.send(Remember("a.py", PANICS))
    client.send(Remember("b.py", "y = 1\n"))
    until(lambda: client.status()["remembered"]["tokens"] == 6, "the last text")
    assert client.status()["remembered"]["documents"] == 1
    assert client.status()["failed"]["letters"] == 9
    client.send(Forget("b.py"))
    until(lambda: not client.status()["remembered"]["documents"], "the end of it")
    assert isinstance(client.ask(1), Result)
    faulty.check_log("PanicException", "memory.py")


# --- a network that raises ------------------------------------------------------------------------

ERRORS = ["ValueError", "RecursionError", "PanicException", "SystemExit", "MemoryError"]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("what", ["network", "sampling"])
def test_one_failure_costs_one_request(faulty: FaultyRuntime, what: str, error: str) -> None:
    client = faulty.client().ready()
    client.send(Generate(1, SECRET, max_new_tokens=4000, stream=True))
    client.wait_for(Chunk)
    faulty.fail(what, error)
    reason = Reason.OUT_OF_MEMORY if error == "MemoryError" else Reason.ENGINE_ERROR
    reply = client.answer(1)
    faulty.mend(what)
    check_failed(reply, reason)
    again = faulty.client().ready() if not client.alive() else client
    assert isinstance(again.ask(2), Result)
    faulty.check_log(error, "engine.py")
