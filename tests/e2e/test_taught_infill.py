"""A decoder-only model of the hub fills in at the cursor, from the keystroke to the shown text.

Real server, real runtime, real network of transformers; the model knows three places by heart.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
import taught_lm
from editor import MARK, Editor
from wire import ROOT

# transformers alone takes seconds to be imported, and many on a busy machine.
PATIENCE_S = 100

LESSONS = [
    ("def area(width, height):\n    ", "return width * height", "\n\nprint(area(2, 3))\n"),
    ("def area(width, height):\n    ", "return 2 * (width + height)", "\n\n# the way around\n"),
    ("names = ['a', 'b']\nfor name in ", "sorted(names):\n    print(name)", "\n\nend = True\n"),
]


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    home = tmp_path_factory.mktemp("user")
    (home / "config.toml").write_text("idle_exit_s = 1\n")
    model = taught_lm.write_folder(home / "taught", LESSONS)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("CODEGEEX_RUNTIME_DIR", folder)
        patch.setenv("CODEGEEX_STATE_DIR", folder)
        patch.setenv("CODEGEEX_CONFIG", str(home / "config.toml"))
        patch.setenv("CODEGEEX_DEVICE", "cpu")
        patch.setenv("CODEGEEX_MODEL", str(model))
        with Editor() as window:
            window.begin()
            window.wait_notification(
                "codegeex/status", lambda it: it["phase"] == "ready", timeout=PATIENCE_S
            )
            yield window
        stop = [sys.executable, "-m", "model_runtime", "stop"]
        subprocess.run(stop, cwd=ROOT, check=False, capture_output=True, timeout=30)


@pytest.mark.parametrize(("prefix", "middle", "suffix"), LESSONS)
def test_what_stands_after_the_cursor_decides(
    editor: Editor, prefix: str, middle: str, suffix: str
) -> None:
    file = editor.file(prefix + MARK + suffix)
    assert file.texts(invoked=True) == [middle]
    file.close()
