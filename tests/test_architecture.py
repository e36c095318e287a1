"""The walls of ARCHITECTURE.md, held by reading and by importing the code."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import codegeex_lsp
import model_runtime

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "transformers", "numpy", "tokenizers", "safetensors"}


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it, dotted."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources("codegeex_lsp"), ids=str)
def test_language_server_reaches_only_protocol_and_endpoint(path: Path) -> None:
    for module in imports_of(path):
        parts = module.split(".")
        assert parts[0] not in HEAVY, module
        if parts[0] == "model_runtime":
            assert parts[1] in {"protocol", "endpoint"}, module


@pytest.mark.parametrize("path", sources("model_runtime"), ids=str)
def test_runtime_knows_no_editor(path: Path) -> None:
    roots = {module.split(".")[0] for module in imports_of(path)}
    assert not roots & {"pygls", "lsprotocol", "codegeex_lsp"}


def test_lsp_types_stay_above_the_handlers() -> None:
    speak_lsp = {
        "convert.py",
        "delivery.py",
        "errand.py",
        "lsp_protocol.py",
        "lsp_server.py",
        "questions.py",
        "server.py",
        "session.py",
        "structuring.py",
        "work_progress.py",
    }
    for path in sources("codegeex_lsp"):
        if path.parent.name != "handlers" and path.name not in speak_lsp:
            roots = {module.split(".")[0] for module in imports_of(path)}
            assert not roots & {"lsprotocol", "pygls"}, path


def modules_after_import(module: str) -> set[str]:
    script = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_server_leaves_models_and_what_is_slow_out() -> None:
    """The index's process and some commands need the others; a window opens without them."""
    slow = {"pathspec", "sqlite3", "http", "email", "tomlkit"}
    assert not modules_after_import("codegeex_lsp.server") & (HEAVY | slow)


@pytest.mark.parametrize("module", ["daemon", "scheduler", "__main__"])
def test_importing_the_runtime_front_leaves_torch_and_editors_out(module: str) -> None:
    loaded = modules_after_import(f"model_runtime.{module}")
    assert not loaded & (HEAVY | {"pygls", "lsprotocol", "codegeex_lsp"})


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert codegeex_lsp.__version__ == model_runtime.__version__ == project["version"]


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"])
def test_the_documents_name_only_files_that_exist(name: str) -> None:
    """Every path in backquotes that looks like one of ours must be there."""
    words = (ROOT / name).read_text(encoding="utf-8").split("`")[1::2]
    tops = ("codegeex_lsp/", "model_runtime/", "tests/", "scripts/", "editors/")
    missing = [
        word for word in words if word.startswith(tops) and not (ROOT / word.split()[0]).exists()
    ]
    assert not missing
