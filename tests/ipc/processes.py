"""Real runtime processes and a small blocking client, each runtime in a folder of its own.

Knows pytest only to set an environment variable; the fixtures are in conftest.py.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from model_runtime import __version__
from model_runtime.wire import endpoint, protocol
from model_runtime.wire.endpoint import Meeting
from model_runtime.wire.protocol import (
    PROTOCOL_VERSION,
    Failure,
    Generate,
    Hello,
    Loading,
    Message,
    ModelState,
    Result,
    StatusQuery,
    StatusReport,
    Welcome,
)

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
Kind = TypeVar("Kind")


def until(true: Callable[[], object], what: str) -> None:
    """Wait for something another process does that tells nobody."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


class Client:
    """Speaks the protocol over a blocking socket. `said` is everything it got."""

    def __init__(self, meeting: Meeting) -> None:
        found = endpoint.read_endpoint(meeting.endpoint)
        assert found is not None
        self.endpoint = found
        scheme, _, place = found.address.partition(":")
        if scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(place)
        else:
            host, _, port = place.rpartition(":")
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(PATIENCE_S)
        self._decoder = protocol.Decoder()
        self._waiting: list[Message] = []

    def greet(self, **changes: Any) -> Client:
        fields = {
            "protocol": PROTOCOL_VERSION,
            "version": __version__,
            "token": self.endpoint.token,
            "client": "test",
            **changes,
        }
        self.send(Hello(**fields))
        return self

    def send(self, message: Message) -> None:
        self.socket.sendall(protocol.encode(message))

    def next(self) -> Message | None:
        """The next message; None when the runtime hung up."""
        while not self._waiting:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._waiting += self._decoder.feed(data)
        return self._waiting.pop(0)

    def wait_for(self, kind: type[Kind], **fields: object) -> Kind:
        """Read on to the first message of this kind with these fields."""
        while (message := self.next()) is not None:
            if isinstance(message, kind) and all(
                getattr(message, name) == value for name, value in fields.items()
            ):
                return message
        raise AssertionError(f"the runtime hung up before a {kind.__name__} with {fields}")

    def ready(self) -> Client:
        """Wait until the model is loaded."""
        self.wait_for(ModelState, state=Loading.READY)
        return self

    def answer(self, number: int) -> Result | Failure:
        while True:
            message = self.next()
            assert message is not None, "the runtime hung up"
            if isinstance(message, Result | Failure) and message.id == number:
                return message

    def ask(self, number: int, prefix: str = "x = 1\n", **fields: Any) -> Result | Failure:
        self.send(Generate(number, prefix, **{"max_new_tokens": 4, **fields}))
        return self.answer(number)

    def status(self) -> dict[str, Any]:
        self.send(StatusQuery(7))
        return self.wait_for(StatusReport).report

    def hung_up(self) -> bool:
        """True once the other side has closed, whatever it still sends before."""
        while self.next() is not None:
            pass
        return True

    def close(self) -> None:
        self.socket.close()


class Runtime:
    """One model served, or not, from one folder."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder
        self.model = model
        self.environment = {
            **os.environ,
            "CODEGEEX_RUNTIME_DIR": str(folder),
            "CODEGEEX_MODEL": model,
            "CODEGEEX_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
        }
        self.program = ["-m", "model_runtime"]
        self.processes: list[subprocess.Popen[str]] = []
        self._clients: list[Client] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CODEGEEX_RUNTIME_DIR", str(folder))
            self.meeting = endpoint.meeting(__version__, model, "cpu")

    def spawn(self, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *self.program, "serve", *options],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Spawn it and wait until it listens."""
        process = self.spawn(*options)

        def listens() -> bool:
            found = endpoint.read_endpoint(self.meeting.endpoint)
            assert process.poll() is None, process.communicate()
            return found is not None and found.pid == process.pid

        until(listens, "the runtime to listen")
        return process

    def connect(self) -> Client:
        """A connection that hasn't said hello."""
        client = Client(self.meeting)
        self._clients.append(client)
        return client

    def client(self) -> Client:
        """A greeted one."""
        client = self.connect().greet()
        client.wait_for(Welcome)
        return client

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "model_runtime", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def log(self) -> str:
        return self.meeting.log.read_text(encoding="utf-8")

    def hang_up(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def end(self) -> None:
        self.hang_up()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()
