"""What executing needs besides compilers: a sandbox."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import AN_ORDINARY_USER, OURSELVES, Running, runner

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.sandbox import require_isolation


@pytest.fixture(scope="session")
def isolation() -> None:
    try:
        require_isolation()
    except EvaluationError as error:
        pytest.skip(str(error))


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that any user may read, as the evaluation's own are and pytest's aren't."""
    folder = Path(tempfile.mkdtemp(prefix="codegeex-sandbox-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=[OURSELVES, AN_ORDINARY_USER])
def run(request: pytest.FixtureRequest, isolation: None, work: Path) -> Running:
    """Runs a program in a sandbox that this user started."""
    return runner(request.param, work)
