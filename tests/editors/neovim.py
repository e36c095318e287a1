"""A real Neovim for tests: headless, in a home of its own, driven as a person would.

Its msgpack-rpc is spoken here: pynvim 0.6 leaves sockets and loops open, which fails a test run
that makes errors of warnings.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgpack
import readme

PLUGIN = readme.ROOT / "editors" / "neovim"
SERVER = str(Path(sys.executable).parent / "codegeex-lsp")
TIMEOUT_S = 20.0

GHOST = """
local marks = vim.api.nvim_buf_get_extmarks(
  0, vim.api.nvim_create_namespace('nvim.lsp.inline_completion'), 0, -1, { details = true })
if #marks == 0 then return '' end
local shown = marks[1][4]
local lines = { (shown.virt_text or {{''}})[1][1] }
for _, line in ipairs(shown.virt_lines or {}) do table.insert(lines, line[1][1]) end
return table.concat(lines, '\\n')
"""


class Neovim:
    """`unpacked` is what scripts/editors/fetch made. Without a `config`, an init.lua, `home` is one
    where a user did what the plugin's page says."""

    def __init__(self, unpacked: Path, home: Path, config: str | None = None) -> None:
        program = _installed(unpacked, home / "bin")
        if config is None:
            readme.follow("neovim", home, programs=program.parent)
        else:
            init = home / ".config" / "nvim" / "init.lua"
            init.parent.mkdir(parents=True)
            init.write_text(config)
        listens = home / "nvim.socket"
        command = [program, "--headless", "--listen", listens, "-i", "NONE", "-n"]
        environment = {name: value for name, value in os.environ.items() if name[:4] != "XDG_"}
        self._process = subprocess.Popen(
            command,
            env=environment | {"HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        while self._socket.connect_ex(str(listens)):
            assert self._process.poll() is None, "Neovim ended at its start"
            time.sleep(0.01)
        self._ids = itertools.count()
        self._incoming = msgpack.Unpacker(strict_map_key=False)
        self.call("nvim_ui_attach", 160, 30, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(TIMEOUT_S)

    def call(self, function: str, *arguments: Any) -> Any:
        """One of Neovim's API functions."""
        number = next(self._ids)
        self._socket.sendall(msgpack.packb([0, number, function, arguments]))
        while True:
            for message in self._incoming:
                if message[:2] == [1, number]:
                    assert message[2] is None, message[2]
                    return message[3]
            self._incoming.feed(self._socket.recv(65536))

    def lua(self, code: str) -> Any:
        return self.call("nvim_exec_lua", code, [])

    def edit(self, path: Path, text: str = "") -> None:
        """Open a file and wait for the server."""
        path.write_text(text)
        self.call("nvim_command", f"edit {path}")
        self.until(lambda: self.status().get("phase") == "ready")

    def command(self, command: str) -> None:
        self.call("nvim_command", command)

    def type(self, keys: str) -> None:
        self.call("nvim_input", keys)

    def ghost(self) -> str:
        shown: str = self.lua(GHOST)
        return shown

    def shows(self, text: str) -> None:
        self.until(lambda: self.ghost() == text)

    @property
    def text(self) -> str:
        return "\n".join(self.call("nvim_buf_get_lines", 0, 0, -1, False))

    def status(self) -> dict[str, Any]:
        return self.lua("return vim.g.codegeex_status") or {}

    def messages(self) -> str:
        told: str = self.call("nvim_exec2", "messages", {"output": True})["output"]
        return told

    def until(self, condition: Callable[[], object]) -> None:
        """Return once it holds. A prompt that blocks Neovim fails the test, where it would hang."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            mode = self.call("nvim_get_mode")
            assert not mode["blocking"], f"Neovim waits at a prompt: {mode}"
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError(f"it never came true; text {self.text!r}, ghost {self.ghost()!r}")


def _installed(unpacked: Path, folder: Path) -> Path:
    """The command nvim, as an installation has it: it knows where its runtime files are."""
    usr = unpacked / "usr"
    program = folder / "nvim"
    folder.mkdir()
    program.write_text(
        f"""#!/bin/sh
export VIMRUNTIME={usr}/share/nvim/runtime
exec {usr}/bin/nvim --cmd 'set rtp^={usr}/lib/nvim' "$@"
"""
    )
    program.chmod(0o755)
    return program
