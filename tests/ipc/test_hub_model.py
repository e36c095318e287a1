"""The real runtime process over a checkpoint that transformers saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Client, Runtime

from model_runtime.wire.protocol import (
    Cancel,
    Chunk,
    Failure,
    Generate,
    Reason,
    Result,
    Task,
    Welcome,
)

# transformers alone takes seconds to be imported, and many on a busy machine.
PATIENCE_S = 100.0


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of a CodeGen; `welcomed` before its model was loaded."""
    tiny_hub = pytest.importorskip("tiny_hub", reason="torch or transformers isn't installed")
    folder: Path = tmp_path_factory.mktemp("hub")
    tiny_hub.write_folder(folder / "codegen", "codegen", n_positions=2048, n_ctx=2048)
    runtime = Runtime(folder / "run", str(folder / "codegen"))
    runtime.start()
    connected = runtime.connect().greet()
    connected.socket.settimeout(PATIENCE_S)
    welcome = connected.wait_for(Welcome)
    assert set(welcome.tasks) == {Task.COMPLETE, Task.GENERATE, Task.TEMPLATE}
    assert "qwen2.5-coder-0.5b-instruct" in welcome.others[Task.TRANSLATE]
    assert Task.COMPLETE not in welcome.others
    yield connected.ready()
    runtime.end()


def test_it_completes_and_the_next_turn_finds_its_text(client: Client) -> None:
    first = client.ask(1, "# add two numbers\n", task=Task.GENERATE, max_new_tokens=12)
    assert isinstance(first, Result)
    document = f"# add two numbers\n{first.candidates[0].text}\n# and print them\n"
    second = client.ask(2, document, task=Task.GENERATE, max_new_tokens=12)
    assert isinstance(second, Result)
    assert second.timing.cached_tokens == len("# add two numbers\n") + 11


def test_it_streams(client: Client) -> None:
    client.send(Generate(3, "x = ", max_new_tokens=12, stream=True))
    pieces = []
    while isinstance(message := client.next(), Chunk):
        pieces.append(message.text)
    assert isinstance(message, Result)
    assert len(pieces) > 1
    assert "".join(pieces) == message.candidates[0].text


def test_it_is_cancelled_in_the_middle(client: Client) -> None:
    client.send(Generate(4, "y = ", max_new_tokens=1500, stream=True, temperature=1.5))
    client.wait_for(Chunk)
    client.send(Cancel(4))
    reply = client.answer(4)
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.CANCELLED
    assert client.status()["cancel"]["steps_after"] <= 1


def test_what_it_cannot_is_said_with_a_model_that_can(client: Client) -> None:
    reply = client.ask(5, "", task=Task.EXPLAIN, code="x = 1")
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.UNSUPPORTED_TASK
    assert "qwen2.5-coder-0.5b-instruct" in reply.message


def test_a_chat_template_that_never_ends_leaves_a_model_that_completes(tmp_path: Path) -> None:
    tiny_hub = pytest.importorskip("tiny_hub", reason="torch or transformers isn't installed")
    loop = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    tiny_hub.write_folder(tmp_path / "m", "qwen2", chat_template=loop)
    runtime = Runtime(tmp_path / "run", str(tmp_path / "m"))
    runtime.start()
    try:
        client = runtime.connect().greet()
        client.socket.settimeout(PATIENCE_S)
        assert set(client.wait_for(Welcome).tasks) == {Task.COMPLETE, Task.TEMPLATE}
        assert isinstance(client.ready().ask(1, "x = ", max_new_tokens=4), Result)
        refused = client.ask(2, "", task=Task.EXPLAIN, code="x = 1")
        assert isinstance(refused, Failure)
        assert refused.reason == Reason.UNSUPPORTED_TASK
        assert "chat template can't be used: it takes too much time or memory" in refused.message
    finally:
        runtime.end()
