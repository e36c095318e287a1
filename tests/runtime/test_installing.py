"""The command in messages about what is missing installs into the environment that runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from model_runtime import installing


def test_the_interpreter_that_runs_is_named() -> None:
    assert installing.part("local") == f'{sys.executable} -m pip install "codegeex-lsp[local]"'


def test_a_path_with_a_space_is_quoted_and_the_line_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "my programs"
    venv.create(folder, with_pip=False, system_site_packages=True)
    monkeypatch.setattr("sys.executable", str(folder / "bin" / "python"))
    line = installing.command("pip")  # which is there: nothing is fetched
    subprocess.run(line, shell=True, check=True, capture_output=True)  # noqa: S602


def test_an_environment_of_uv_has_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.executable", "/my tools/python")
    words = shlex.split(installing.part("eval"))
    assert words == ["uv", "pip", "install", "--python", "/my tools/python", "codegeex-lsp[eval]"]
