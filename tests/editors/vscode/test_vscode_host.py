"""The unpacked extension in VS Code's extension host: suite.js has the tests, one a function."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_runtime import FakeRuntime, candidates
from vscode_program import EXTENSION, HERE, SERVER, ExtensionHost

from model_runtime.wire.protocol import Generate, Task

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def host(
    fetched: Callable[[str], Path],
    packaged: Path,
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ExtensionHost]:
    """With a stand-in for the Python extension, and the server named in the workspace."""
    monkeypatch.setenv("TEST_PYTHON", sys.executable)
    host = ExtensionHost(fetched("vscode"), user, {})
    shutil.copytree(HERE / "python_extension", user / "extensions" / "ms-python.python-0.0.1")
    (host.folder / ".vscode").mkdir()
    path = host.folder / ".vscode" / "settings.json"
    path.write_text(f'{{"codegeex.server.path": "{SERVER}"}}')
    with host:
        yield host


def test_the_extension_host_passes_its_tests(host: ExtensionHost, fake: FakeRuntime) -> None:
    fake.answer = _answer
    file = host.folder / "work.py"
    file.write_text("")
    log = host.run_tests(EXTENSION, HERE / "suite.js", file)
    passed = [line for line in log if line.startswith("passed: ")]
    assert len(passed) == 7, log


def _answer(request: Generate) -> object:
    return candidates("int total = 1;" if request.task == Task.TRANSLATE else "answer()")
