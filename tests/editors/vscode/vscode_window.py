"""A real VS Code for tests: its server (code-server), Chromium, and a person's hands.

`Workbench` is VS Code as users have it; `ExtensionHost` runs a test module inside it. Both use what
scripts/editors/fetch unpacked, in a home of their own.
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
TIMEOUT_S = 40.0
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


class Workbench(VSCode):
    """VS Code as a user has it, with a packaged extension installed."""

    def install(self, vsix: Path) -> None:
        command = [*self._command(), "--force", "--install-extension", vsix]
        subprocess.run(command, env=self._environment(), check=True, capture_output=True)

    # --- a person -------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        self.js("await page.keyboard.press(given)", key)

    def type(self, text: str, delay_ms: int = 30) -> None:
        self.js("await page.keyboard.type(given[0], {delay: given[1]})", [text, delay_ms])

    def click(self, selector: str) -> None:
        self.js("await page.locator(given).first().click()", selector)

    def command(self, title: str) -> None:
        """By the command palette."""
        self.press("F1")
        self.js("await page.waitForSelector('.quick-input-widget:not([style*=\"none\"]) input')")
        time.sleep(0.3)
        self.js("await page.keyboard.insertText(given)", title)
        self.until(lambda: any(title in row for row in self.rows()), f"the command {title}")
        self.press("Enter")

    def alone(self) -> None:
        """Close what was opened beside the file, and go there."""
        if len(self.texts(".editor-group-container")) > 1:
            self.press("Control+1")
            self.command("View: Close Editors in Other Groups")
            self.until(lambda: len(self.texts(".editor-group-container")) == 1, "one group")
        self.press("Control+1")

    def write(self, text: str) -> None:
        """Replace the whole file, and leave the caret at its end."""
        self.press("Control+a")
        self.js("await page.keyboard.insertText(given)", text)

    # --- what it sees ---------------------------------------------------------------------------

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.js("return await page.locator(given).allTextContents()", selector)
        return [text.replace("\xa0", " ") for text in found]

    def ghost(self) -> str:
        return "".join(self.texts('[class*="ghost-text"]'))

    def shows(self, text: str) -> None:
        self.until(lambda: text in self.ghost(), f"ghost text {text!r}")

    def beside(self) -> list[str]:
        """The lines of the second group of editors."""
        return self.texts(".editor-group-container >> nth=1 >> .view-line")

    def rows(self) -> list[str]:
        return self.texts(".quick-input-list .monaco-list-row")

    def status(self) -> str:
        """What the status item says, its tooltip first."""
        return " ".join(
            self.js(
                "return await page.locator('[id*=\"codegeex.status\"]').evaluateAll(it => "
                "it.flatMap(x => [x.getAttribute('aria-label'), x.innerHTML]))"
            )
        )

    def notifications(self) -> str:
        return "\n".join(self.texts(".notification-toast .notification-list-item-message"))

    def text(self) -> str:
        """The file, saved."""
        self.press("Control+s")
        self.until(lambda: not self.texts(".tab.dirty.active"), "the saved file")
        return (self.folder / "work.py").read_text()

    def picture(self, file: Path) -> None:
        self.js("await page.screenshot({path: given})", str(file))

    def _user_data(self) -> Path:
        return self.data

    def _command(self) -> Sequence[str | Path]:
        options = [
            "--auth=none",
            "--disable-telemetry",
            "--disable-update-check",
            "--disable-workspace-trust",
            "--disable-getting-started-override",
            "--disable-proxy",
            "--ignore-last-opened",
            f"--bind-addr=127.0.0.1:{self._port}",
            f"--user-data-dir={self.data}",
            f"--extensions-dir={self._home / 'extensions'}",
        ]
        return [self._node, self._code_server / "out" / "node" / "entry.js", *options]

    def _health(self) -> str:
        return "/healthz"


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
