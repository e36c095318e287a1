"""A raw LSP client for tests: it shares no code with the server and can misbehave.

    with Wire() as wire:
        wire.initialize()
        wire.open("file:///a.py", "x = ")
        result = wire.call("textDocument/inlineCompletion", {...})

A thread reads all that the server says; waiting is for a message, never for a time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 20.0

Json = dict[str, Any]


class WireError(Exception):
    """The server answered a request with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message", "")


class Wire:
    """One server process. `command` defaults to the real server; `env` adds to the environment.

    `answers` holds what to answer to the server's requests by method, a value or a function of the
    parameters; other requests are answered with null. `messages` holds all that came.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        env: dict[str, str] | None = None,
        answers: dict[str, Any] | None = None,
    ) -> None:
        self.messages: list[Json] = []
        self.answers: dict[str, Any] = dict(answers or {})
        self.silent: set[str] = set()  # methods of server requests that get no answer at all
        self._ids = itertools.count(1)
        self._arrived = threading.Condition()
        self._write_lock = threading.Lock()
        self._reading = threading.Event()
        self._reading.set()
        self._hung_up = threading.Event()
        self._ended = False
        self._untaken: list[Json] = []
        self.process = subprocess.Popen(
            list(command or (sys.executable, "-m", "codegeex_lsp")),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._errors = bytearray()
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    # --- saying ---------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self.process.stdin is not None
        with self._write_lock:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def send(self, message: Any) -> None:
        body = json.dumps(message).encode()
        self.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Any = None, id: int | str | None = None) -> int | str:
        """Send a request; answers its id for wait()."""
        id = next(self._ids) if id is None else id
        self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return id

    def call(self, method: str, params: Any = None, timeout: float = TIMEOUT_S) -> Any:
        """Send a request and wait for its result. Raises WireError for an error reply."""
        return result_of(self.wait(self.request(method, params), timeout))

    def cancel(self, id: int | str) -> None:
        self.notify("$/cancelRequest", {"id": id})

    def initialize(
        self, capabilities: Json | None = None, options: Any = None, **more: Any
    ) -> Json:
        """The handshake; answers the InitializeResult."""
        params = {
            "processId": None,
            "rootUri": None,
            "capabilities": capabilities or {},
            "initializationOptions": options,
            **more,
        }
        result: Json = self.call("initialize", params)
        self.notify("initialized", {})
        return result

    def open(self, uri: str, text: str, language: str = "python", version: int = 1) -> None:
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, version: int, *changes: Json) -> None:
        """`changes` are content changes, as change_at() makes them."""
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)},
        )

    def shutdown(self) -> int:
        """The orderly end; answers the exit code."""
        self.call("shutdown")
        self.notify("exit")
        return self.wait_exit()

    # --- hearing --------------------------------------------------------------------------------

    def wait(self, id: int | str | None, timeout: float = TIMEOUT_S) -> Json:
        """The reply to request `id`; None is for errors that belong to no request."""
        return self.wait_for(
            lambda message: "method" not in message and message.get("id") == id, timeout
        )

    def wait_notification(
        self,
        method: str,
        accept: Callable[[Any], bool] = lambda params: True,
        timeout: float = TIMEOUT_S,
    ) -> Any:
        """The parameters of the next notification or request of the server that is accepted."""
        message = self.wait_for(
            lambda message: message.get("method") == method and accept(message.get("params")),
            timeout,
        )
        return message.get("params")

    def wait_for(self, accept: Callable[[Json], bool], timeout: float = TIMEOUT_S) -> Json:
        """The first accepted message that no wait has returned before. Raises TimeoutError or,
        when the server is gone, EOFError."""
        found: list[Json] = []

        def look() -> bool:
            for index, message in enumerate(self._untaken):
                if accept(message):
                    found.append(self._untaken.pop(index))
                    return True
            return self._ended

        with self._arrived:
            if not self._arrived.wait_for(look, timeout):
                raise TimeoutError(f"no such message among {self.messages[-20:]}; {self.stderr}")
        if not found:
            raise EOFError(f"the server ended; {self.stderr}")
        return found[0]

    def replies(self, id: int | str | None) -> list[Json]:
        """All replies to request `id` so far."""
        with self._arrived:
            return [m for m in self.messages if "method" not in m and m.get("id") == id]

    @property
    def stderr(self) -> str:
        return self._errors.decode(errors="replace")

    # --- misbehaving ----------------------------------------------------------------------------

    def stop_reading(self) -> None:
        """Take no more bytes until resume_reading()."""
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def hang_up(self) -> None:
        """Close the reading end; what the server writes from now on fails."""
        self._hung_up.set()
        self._threads[0].join()

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def wait_exit(self, timeout: float = TIMEOUT_S) -> int:
        """The exit code, once the server has ended."""
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End the process if it still runs and free everything."""
        self.process.kill()
        self.process.wait()
        self._hung_up.set()
        self.close_stdin()
        for thread in self._threads:
            thread.join()

    # --- the reading threads --------------------------------------------------------------------

    def _read(self) -> None:
        assert self.process.stdout is not None
        buffer = b""
        with self.process.stdout as stdout:
            while not self._hung_up.is_set():
                ready, _, _ = select.select(
                    [stdout] if self._reading.is_set() else [], [], [], 0.02
                )
                if not ready:
                    continue
                if not (data := os.read(stdout.fileno(), 1 << 20)):
                    break
                buffer = self._take_frames(buffer + data)
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def _take_frames(self, buffer: bytes) -> bytes:
        """Take in all complete messages; answers the rest. Strict about how the server frames: the
        length comes first; what a bare pygls adds after it, in the benchmarks, is passed over."""
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            name, _, length = buffer[:end].split(b"\r\n")[0].partition(b": ")
            assert name == b"Content-Length"
            if len(buffer) < (stop := end + 4 + int(length)):
                break
            self._take_in(json.loads(buffer[end + 4 : stop]))
            buffer = buffer[stop:]
        return buffer

    def _take_in(self, message: Json) -> None:
        with self._arrived:
            self.messages.append(message)
            self._untaken.append(message)
            self._arrived.notify_all()
        if "method" in message and "id" in message and message["method"] not in self.silent:
            answer = self.answers.get(message["method"])
            result = answer(message.get("params")) if callable(answer) else answer
            with contextlib.suppress(OSError, ValueError):  # the server is gone
                self.send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            while data := os.read(stderr.fileno(), 65536):
                self._errors += data


def result_of(reply: Json) -> Any:
    """The result of a reply. Raises WireError."""
    if "error" in reply:
        raise WireError(reply["error"])
    return reply["result"]


def at(line: int, character: int) -> Json:
    return {"line": line, "character": character}


def change_at(start: tuple[int, int], end: tuple[int, int], text: str) -> Json:
    """A content change from `start` to `end`, both (line, character) in the client's units."""
    return {"range": {"start": at(*start), "end": at(*end)}, "text": text}
