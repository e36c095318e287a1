"""What executing needs: the published problems, compilers and a sandbox; skips where one lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.languages import LANGUAGES, require_tools
from model_runtime.evaluation.runners.go import TESTIFY
from model_runtime.evaluation.sandbox import require_isolation

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
GOLDEN_RULES = (
    Path(__file__).resolve().parents[2] / "../shared/golden/codegeex/benchmark/rules.jsonl"
)


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the problem files are not part of this checkout")
    return DATA


@pytest.fixture(scope="session")
def golden_rules() -> Path:
    if not GOLDEN_RULES.is_file():
        pytest.skip("the golden vectors are not part of this checkout")
    return GOLDEN_RULES


@pytest.fixture(scope="session")
def isolation() -> None:
    try:
        require_isolation()
    except EvaluationError as error:
        pytest.skip(str(error))


def need(*keys: str) -> None:
    """Skip where a language's compiler isn't installed."""
    for key in keys:
        try:
            require_tools(LANGUAGES[key])
        except EvaluationError as error:
            pytest.skip(str(error))
        if key == "go" and not TESTIFY.is_dir():
            pytest.skip("testify isn't installed: golang-github-stretchr-testify-dev")
