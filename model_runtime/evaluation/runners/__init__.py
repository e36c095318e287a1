"""How programs of each language are built and run inside the sandbox, one file a language."""

from __future__ import annotations

from model_runtime.evaluation.runners.cpp import CppRunner
from model_runtime.evaluation.runners.go import GoRunner
from model_runtime.evaluation.runners.java import JavaRunner
from model_runtime.evaluation.runners.javascript import JavaScriptRunner
from model_runtime.evaluation.runners.python import PythonRunner
from model_runtime.evaluation.runners.runner import Runner

RUNNERS: dict[str, type[Runner]] = {
    "python": PythonRunner,
    "cpp": CppRunner,
    "java": JavaRunner,
    "js": JavaScriptRunner,
    "go": GoRunner,
}
