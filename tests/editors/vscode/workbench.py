"""A person's hands and eyes on a real VS Code with the packaged extension.

Under load each of VS Code's answers to a key comes late: nothing here goes on before it was seen.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vscode_program import VSCode

CHOSEN_NAME = """document.querySelector(
    '.quick-input-list .monaco-list-row.focused .label-name')?.textContent.trim()"""
PLACEHOLDER = (
    """document.querySelector('.quick-input-widget .quick-input-box input')?.placeholder"""
)
LIST_HAS_THE_CARET = "document.activeElement.closest('.quick-input-widget') !== null"
FIRST_EDITOR = "document.querySelector('.editor-group-container .monaco-editor')"
FIRST_EDITOR_HAS_THE_CARET = f"{FIRST_EDITOR}?.contains(document.activeElement) ?? false"
# A line's own text, without the ghost text in it.
FIRST_EDITOR_LINES = f"""[...{FIRST_EDITOR}.querySelectorAll('.view-line')].map((shown) => {{
    const line = shown.cloneNode(true);
    line.querySelectorAll('[class*="ghost-text"]').forEach((ghost) => ghost.remove());
    return line.textContent;
}})"""


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
        self.pick(title)

    def pick(self, name: str) -> None:
        """From the list that is open or opening: type the name, take the row once it is chosen.

        The list is filtered some time after the last key; Enter before that takes another row.
        """
        self.until(lambda: self.page(LIST_HAS_THE_CARET), "a list")
        self.js("await page.keyboard.insertText(given)", name)
        self.until(lambda: self.page(CHOSEN_NAME) == name, f"the row {name!r}")
        self.press("Enter")
        self.until(lambda: not self.page(LIST_HAS_THE_CARET), "the end of the list")

    def alone(self) -> None:
        """Close what was opened beside the file, and go there."""
        if len(self.texts(".editor-group-container")) > 1:
            self.focus()
            self.command("View: Close Editors in Other Groups")
            self.until(lambda: len(self.texts(".editor-group-container")) == 1, "one group")
        self.focus()

    def focus(self) -> None:
        """The caret in the first group of editors."""
        self.press("Control+1")
        self.until(lambda: self.page(FIRST_EDITOR_HAS_THE_CARET), "the caret in the file")

    def set(self, name: str, value: object) -> None:
        """Edit the settings files while VS Code runs; of paths the machine's counts."""
        for place in ("User", "Machine"):
            file = self.data / place / "settings.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))

    def write(self, text: str) -> None:
        """Replace the whole file by one line, and leave the caret at its end."""
        self.press("Control+a")
        self.press("Delete")
        self.until(lambda: self.lines() == [""], "the empty file")
        self.js("await page.keyboard.insertText(given)", text)
        self.until(lambda: self.lines() == [text], f"the line {text!r}")

    def why(self) -> str:
        """What a click on the status item says about the last answer."""
        self.click('[id*="codegeex.status"] a')
        self.until(lambda: self.page(LIST_HAS_THE_CARET) and self.rows(), "the item's menu")
        said = self.rows()[0]
        self.press("Escape")
        self.until(lambda: not self.page(LIST_HAS_THE_CARET), "the end of the menu")
        self.focus()
        return said

    def search(self, query: str) -> str:
        """What the extension's search lists, which stays open when there is something."""
        self.command("CodeGeeX: Search the Workspace")
        self.until(lambda: self.page(LIST_HAS_THE_CARET) and self._asked(), "the question")
        self.js("await page.keyboard.insertText(given)", query)
        self.press("Enter")
        self.until(lambda: self.placeholder() or self.rows(), "the answer")
        if not (found := "\n".join(self.rows())):
            self.press("Escape")
        return found

    # --- what it sees ---------------------------------------------------------------------------

    def page(self, expression: str) -> Any:
        """An expression of the page's own JavaScript."""
        return self.js("return await page.evaluate(given)", expression)

    def lines(self) -> list[str]:
        """The first editor's, without ghost text."""
        return [line.replace("\xa0", " ") for line in self.page(FIRST_EDITOR_LINES)]

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

    def placeholder(self) -> str:
        """The grey text of the list that is open."""
        grey: str = self.page(PLACEHOLDER)
        return grey

    def _asked(self) -> bool:
        told = self.texts(".quick-input-widget .quick-input-message")
        return "What do you look for" in "".join(told)

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

    def has(self, text: str) -> None:
        self.until(lambda: self.text() == text, f"the file {text!r}")

    def text(self) -> str:
        """The file as it was last saved; saves it, which takes a moment: poll."""
        self.focus()
        self.press("Control+s")
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
