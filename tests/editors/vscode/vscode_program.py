"""A real VS Code for tests: its server (code-server) and Chromium, in a home of their own.

It uses what scripts/editors/fetch unpacked. `ExtensionHost` runs a test module inside it; VS Code
as users have it is in workbench.py.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
EXTENSION = ROOT / "editors" / "vscode"
SERVER = Path(sys.executable).parent / "codegeex-lsp"
TIMEOUT_S = 90.0
POLL_S = 0.05

SETTINGS = {
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": False,
    "extensions.ignoreRecommendations": True,
    "workbench.startupEditor": "none",
    "workbench.enableExperiments": False,
    "chat.disableAIFeatures": True,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.minimap.enabled": False,
    "window.dialogStyle": "custom",
    "security.workspace.trust.enabled": False,
    "files.autoSave": "off",
}


class VSCode:
    """A server and a browser on one folder. `settings` are the machine's and the user's."""

    def __init__(self, fetched: Path, home: Path, settings: dict[str, Any]) -> None:
        self.folder = home / "project"
        self.folder.mkdir(exist_ok=True)
        self._fetched = fetched
        self._home = home
        self.data = home / "vscode"
        self.user_settings = self._user_data() / "User" / "settings.json"
        for place in ("User", "Machine"):
            file = self._user_data() / place / "settings.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(SETTINGS | settings))
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._browser: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        log = (self._home / "server.log").open("wb")
        self._server = subprocess.Popen(
            self._command(), env=self._environment(), stdout=log, stderr=log
        )
        log.close()
        self._until_it_answers()
        browser = [
            self._node,
            HERE / "browser.mjs",
            self._fetched,
            _chromium(),
            self._home / "chromium",
        ]
        self._browser = subprocess.Popen(
            browser,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        if self._browser is not None and self._browser.stdin and self._browser.stdout:
            self._browser.stdin.close()
            self._browser.wait(TIMEOUT_S)
            self._browser.stdout.close()
        if self._server is not None:
            self._server.terminate()
            self._server.wait(TIMEOUT_S)

    def js(self, code: str, given: Any = None) -> Any:
        """Run JavaScript about `page` and `given` in the browser's driver."""
        assert self._browser is not None
        assert self._browser.stdin is not None
        assert self._browser.stdout is not None
        self._browser.stdin.write(json.dumps({"code": code, "given": given}) + "\n")
        self._browser.stdin.flush()
        answer = json.loads(self._browser.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Return once it holds. Fails with a picture of the window."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(POLL_S)
        if self._browser is not None:
            self.js("await page.screenshot({path: given})", str(self._home / "failed.png"))
        raise AssertionError(f"{what} never came; see {self._home / 'failed.png'}")

    def goto(self, **payload: Path) -> None:
        """Open the window on the folder; the payload names files by VS Code's own keys."""
        remote = f"vscode-remote://127.0.0.1:{self._port}"
        pairs = [[key, f"{remote}{path}"] for key, path in payload.items()]
        url = f"http://127.0.0.1:{self._port}/?folder={quote(str(self.folder))}"
        self.js("await page.goto(given)", f"{url}&payload={quote(json.dumps(pairs))}")
        self.js("await page.waitForSelector('.monaco-workbench .part.statusbar')")

    @property
    def _node(self) -> Path:
        return self._fetched / "bin" / "node"

    @property
    def _code_server(self) -> Path:
        return self._fetched / "node_modules" / "code-server"

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        folders = {f"XDG_{name}_HOME": home for name in ("CONFIG", "DATA", "CACHE", "STATE")}
        path = f"{self._fetched / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return os.environ | folders | {"HOME": home, "PATH": path}

    def _user_data(self) -> Path:
        raise NotImplementedError

    def _command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def _health(self) -> str:
        raise NotImplementedError

    def _until_it_answers(self) -> None:
        address = f"http://127.0.0.1:{self._port}{self._health()}"

        def answers() -> bool:
            assert self._server is not None
            assert self._server.poll() is None, (self._home / "server.log").read_text()
            try:
                with urllib.request.urlopen(address, timeout=5) as reply:
                    return bool(reply.status == 200)
            except OSError:
                return False

        self.until(answers, "the server's answer")


class ExtensionHost(VSCode):
    """Runs a test module in VS Code's extension host; `extension` is the unpacked extension."""

    def run_tests(self, extension: Path, module: Path, file: Path) -> list[str]:
        """The module's console lines; fails when it did."""
        self.goto(extensionDevelopmentPath=extension, extensionTestsPath=module, openFile=file)
        try:
            self.until(lambda: self.js("return run.code !== null"), "the end of the tests")
        finally:
            log: list[str] = self.js("return run.log")
            print(*log, sep="\n")
        assert self.js("return run.code") == 0
        return log

    def _user_data(self) -> Path:
        return self.data / "data"

    def _command(self) -> Sequence[str | Path]:
        options = [
            "--host=127.0.0.1",
            f"--port={self._port}",
            "--without-connection-token",
            "--accept-server-license-terms",
            "--telemetry-level=off",
            "--disable-experiments",
            "--disable-workspace-trust",
            "--enable-smoke-test-driver",
            f"--server-data-dir={self.data}",
            f"--user-data-dir={self.data / 'data'}",
            f"--extensions-dir={self._home / 'extensions'}",
        ]
        server = self._code_server / "lib" / "vscode" / "out" / "server-main.js"
        return [self._node, server, *options]

    def _health(self) -> str:
        return "/version"


def _chromium() -> str:
    found = shutil.which("chromium")
    assert found, "scripts/editors/fetch vscode installs Chromium"
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
