"""A real runtime whose libraries fail: what ran has its answer, everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_runtime import PANICKING
from processes import PATIENCE_S, Runtime, until

from model_runtime.wire.protocol import (
    Chunk,
    Embed,
    Embedding,
    Failure,
    Forget,
    Generate,
    Loading,
    ModelState,
    Priority,
    Reason,
    Remember,
    Result,
    Snippet,
)

TYPED = "password = 'hunter2'\n"
PANICS = f"{TYPED}{'a' * 50}b\n"


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
    client.send(Remember("b.py", "yy = 1\n"))
    until(lambda: client.status()["remembered"]["tokens"] == 7, "the last text alone")
    assert client.status()["remembered"]["documents"] == 1
    assert client.status()["failed"]["letters"] == 9
    client.send(Forget("b.py"))
    until(lambda: not client.status()["remembered"]["documents"], "the end of it")
    assert isinstance(client.ask(1), Result)
    faulty.check_log("PanicException", "memory.py")


def test_what_nobody_catches_is_logged_without_a_word_of_it(faulty: FaultyRuntime) -> None:
    client = faulty.client().ready()
    faulty.fail("thread")
    until(lambda: "a thread ended: ValueError at" in faulty.log(), "the thread's end")
    assert isinstance(client.ask(1), Result)
    faulty.check_log("something went wrong aside: ValueError at")
    faulty.end()
    assert faulty.processes[0].communicate() == ("", "")


# --- a network that raises ------------------------------------------------------------------------

ERRORS = ["ValueError", "RecursionError", "PanicException", "SystemExit", "MemoryError"]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("what", ["network", "sampling"])
def test_one_failure_costs_one_request(faulty: FaultyRuntime, what: str, error: str) -> None:
    client = faulty.client().ready()
    client.send(Generate(1, TYPED, max_new_tokens=4000, stream=True))
    client.wait_for(Chunk)
    faulty.fail(what, error)
    reason = Reason.OUT_OF_MEMORY if error == "MemoryError" else Reason.ENGINE_ERROR
    check_failed(client.answer(1), reason)
    assert isinstance(client.ask(2), Result)
    assert client.status()["state"] == Loading.READY
    faulty.check_log(error, "engine.py")


def test_a_runtime_that_cannot_go_on_says_so_and_leaves(faulty: FaultyRuntime) -> None:
    client, other = faulty.client().ready(), faulty.client().ready()
    client.send(Generate(1, TYPED, max_new_tokens=4000, stream=True))
    client.wait_for(Chunk)
    client.send(Generate(2, TYPED, priority=Priority.BATCH))
    faulty.fail("network", " ".join(["RuntimeError"] * 4))
    check_failed(client.answer(1))
    state = other.wait_for(ModelState, state=Loading.FAILED)
    assert "3 times in a row" in state.message
    assert "RuntimeError" in state.message
    check_failed(client.answer(2))
    assert client.hung_up()
    assert other.hung_up()
    assert faulty.processes[0].wait(PATIENCE_S) == 1
    faulty.check_log("a turn failed: RuntimeError at")
    faulty.start()
    assert isinstance(faulty.client().ready().ask(3), Result)


def test_failures_apart_from_each_other_add_up_to_nothing(faulty: FaultyRuntime) -> None:
    client = faulty.client().ready()
    for number in range(1, 11, 2):
        faulty.fail("network", "RuntimeError RuntimeError")  # of the request, and of a turn
        check_failed(client.ask(number))
        assert isinstance(client.ask(number + 1), Result)
    assert client.status()["failed"]["turns"] == 5


# --- two models -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> str:
    tiny_t5 = pytest.importorskip("tiny_t5", reason="torch or transformers isn't installed")
    return str(tiny_t5.write_folder(tmp_path_factory.mktemp("embedding") / "t5"))


def test_a_completion_waits_for_no_batch_of_an_embedding(
    faulty: FaultyRuntime, embedding: str
) -> None:
    client = faulty.client().ready()
    faulty.fail("embedding")
    client.send(Embed(1, ("x",) * 200, embedding))
    until((faulty.faults / "embeds").exists, "the first batch")
    assert isinstance(client.ask(2), Result)
    faulty.mend("embedding")
    assert client.wait_for(Embedding).count == 200


# --- a tokenizer.json that takes long to read -----------------------------------------------------


def test_hellos_read_no_tokenizer(tmp_path: Path) -> None:
    tiny_hub = pytest.importorskip("tiny_hub", reason="torch or transformers isn't installed")
    tiny_hub.write_folder(tmp_path / "codegen", "codegen")
    runtime = FaultyRuntime(tmp_path, str(tmp_path / "codegen"))
    try:
        runtime.start()
        runtime.client().ready()
        reads = (runtime.faults / "reads").read_text(encoding="utf-8")
        for _ in range(5):
            assert runtime.client().ready()
        assert (runtime.faults / "reads").read_text(encoding="utf-8") == reads
        assert "MainThread" not in reads
    finally:
        runtime.end()
