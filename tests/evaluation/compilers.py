"""The compilers that a test needs."""

from __future__ import annotations

import pytest

from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.languages import LANGUAGES, require_tools
from model_runtime.evaluation.runners.go import TESTIFY


def need(*keys: str) -> None:
    """Skip where a language's compiler isn't installed."""
    for key in keys:
        try:
            require_tools(LANGUAGES[key])
        except EvaluationError as error:
            pytest.skip(str(error))
        if key == "go" and not TESTIFY.is_dir():
            pytest.skip("testify isn't installed: golang-github-stretchr-testify-dev")
