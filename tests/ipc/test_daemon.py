"""The life of the process: one serves, it ends when it should, and leaves nothing behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from processes import PATIENCE_S, Runtime, until

from model_runtime.wire import endpoint
from model_runtime.wire.protocol import Failure, Loading, ModelState, Reason, Result, Stop


def assert_nothing_left(runtime: Runtime) -> None:
    """Only the lock file, which must outlive its holder, and the log."""
    left = {path.suffix for path in runtime.folder.iterdir()}
    assert left <= {".lock", ".log"}


def test_of_many_starters_exactly_one_serves(runtime: Runtime) -> None:
    starters = [runtime.spawn() for _ in range(8)]
    until(lambda: sum(one.poll() is None for one in starters) == 1, "seven of eight to end")
    until(runtime.meeting.endpoint.exists, "the winner to listen")
    losers = [one for one in starters if one.poll() is not None]
    assert [one.returncode for one in losers] == [0] * 7
    (winner,) = set(starters) - set(losers)
    found = endpoint.read_endpoint(runtime.meeting.endpoint)
    assert found is not None
    assert found.pid == winner.pid
    assert isinstance(runtime.client().ready().ask(1), Result)
    assert runtime.log().count("serves this model already") == 7


def test_a_killed_runtime_is_replaced(runtime: Runtime) -> None:
    killed = runtime.start()
    client = runtime.client()
    killed.send_signal(signal.SIGKILL)
    killed.wait(PATIENCE_S)
    assert client.hung_up()
    assert runtime.meeting.socket.exists(), "a stale socket must be in the way"
    assert runtime.command("status").returncode == 1
    runtime.start()
    assert isinstance(runtime.client().ready().ask(1), Result)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(runtime: Runtime, number: signal.Signals) -> None:
    process = runtime.start()
    client = runtime.client().ready()
    process.send_signal(number)
    assert client.hung_up()
    assert process.wait(PATIENCE_S) == 0
    assert process.communicate() == ("", "")
    assert_nothing_left(runtime)


def test_without_clients_it_ends_by_itself(runtime: Runtime) -> None:
    process = runtime.start("--idle-exit", "0.5")
    client = runtime.client().ready()
    assert process.poll() is None, "a client holds it, however long the model takes to load"
    client.close()
    assert process.wait(PATIENCE_S) == 0
    assert_nothing_left(runtime)


def test_a_path_too_long_for_a_socket_means_tcp(tmp_path: Path, tiny_model: str) -> None:
    runtime = Runtime(tmp_path / ("long" * 25), tiny_model)
    try:
        runtime.start()
        client = runtime.client()
        assert client.endpoint.address.startswith("tcp:127.0.0.1:")
        assert isinstance(client.ready().ask(1), Result)
        assert runtime.command("stop").returncode == 0
        assert runtime.processes[0].wait(PATIENCE_S) == 0
        assert_nothing_left(runtime)
    finally:
        runtime.end()


def test_a_model_that_is_not_there_is_a_state(runtime: Runtime, tmp_path: Path) -> None:
    missing = Runtime(runtime.folder, str(tmp_path / "no-such-model"))
    try:
        process = missing.start()
        client = missing.client()
        state = client.wait_for(ModelState, state=Loading.FAILED)
        assert "no-such-model" in state.message
        assert state.message.endswith(".")
        failure = client.ask(1)
        assert isinstance(failure, Failure)
        assert (failure.reason, failure.message) == (Reason.LOAD_FAILED, state.message)
        assert missing.client().wait_for(ModelState).message == state.message
        assert process.poll() is None
        assert client.status()["requests"] == {"load_failed": 1}
    finally:
        missing.end()


@pytest.fixture
def blocked(runtime: Runtime, tmp_path: Path) -> tuple[Runtime, Path]:
    """A runtime whose torch waits for a file and then turns out not to be installed."""
    gate, package = tmp_path / "gate", tmp_path / "fake" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import pathlib, time\n"
        f"while not pathlib.Path({str(gate)!r}).exists():\n"
        "    time.sleep(0.01)\n"
        "raise ModuleNotFoundError('No module named torch', name='torch')\n",
        encoding="utf-8",
    )
    runtime.environment["PYTHONPATH"] = str(package.parent)
    return runtime, gate


def test_loading_and_a_missing_torch_are_states(blocked: tuple[Runtime, Path]) -> None:
    runtime, gate = blocked
    runtime.start()
    client = runtime.client()
    assert client.wait_for(ModelState).state == Loading.LOADING
    failure = client.ask(1)
    assert isinstance(failure, Failure)
    assert failure.reason == Reason.LOADING
    assert client.status()["state"] == "loading"
    gate.touch()
    message = client.wait_for(ModelState, state=Loading.FAILED).message
    assert f'{sys.executable} -m pip install "codegeex-lsp[local]"' in message
    assert "torch" in message


def test_without_a_model_it_leaves_with_its_last_client(blocked: tuple[Runtime, Path]) -> None:
    """Whoever installs what is missing and starts the editor again: it looks again."""
    runtime, gate = blocked
    process = runtime.start()
    client = runtime.client()
    gate.touch()
    client.wait_for(ModelState, state=Loading.FAILED)
    client.close()
    assert process.wait(PATIENCE_S) == 0


def test_it_can_be_stopped_while_it_loads(blocked: tuple[Runtime, Path]) -> None:
    runtime, _ = blocked
    process = runtime.start()
    client = runtime.client()
    client.send(Stop())
    assert client.hung_up()
    assert process.wait(PATIENCE_S) == 0
    assert_nothing_left(runtime)
