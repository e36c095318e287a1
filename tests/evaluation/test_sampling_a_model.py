"""The whole way, with a real runtime and a tiny random model: sample, execute, report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/runtime"))

import tiny  # noqa: E402

from model_runtime import __version__  # noqa: E402
from model_runtime.commands import client  # noqa: E402
from model_runtime.wire import endpoint  # noqa: E402
from model_runtime.wire.client import NoRuntimeError  # noqa: E402

pytestmark = pytest.mark.usefixtures("isolation")


class Evaluation:
    """Runs codegeex-eval as a process, with a runtime folder and a model of its own."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.model = str(tiny.write_folder(folder / "model", tiny.config(context=1024)))
        self._data = data
        self._environment = {
            **os.environ,
            "CODEGEEX_RUNTIME_DIR": str(folder),
            "CODEGEEX_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "model_runtime.evaluation", *arguments]
        if arguments[0] != "report":
            command += ["--data", str(self._data)]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=110
        )

    def sample(self, *arguments: str) -> list[dict[str, Any]]:
        """Two Python problems, or what the arguments say; the lines of the samples file."""
        path = self.folder / "samples.jsonl"
        done = self.run(
            "humaneval-x",
            *("--model", self.model, "--samples", str(path), "--max-tokens", "24"),
            *("--problems", "2", "--languages", "python", *arguments),
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def end(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CODEGEEX_RUNTIME_DIR", str(self.folder))
            with contextlib.suppress(NoRuntimeError):
                client.stop(endpoint.meeting(__version__, self.model, "cpu"))


@pytest.fixture
def evaluation(tmp_path: Path, data: Path) -> Iterator[Evaluation]:
    tmp_path.chmod(0o700)
    made = Evaluation(tmp_path, data)
    yield made
    made.end()


def test_a_run_that_goes_on_draws_what_an_unbroken_one_draws(evaluation: Evaluation) -> None:
    whole = evaluation.sample("-n", "3")
    assert [line["task_id"] for line in whole] == ["Python/0"] * 3 + ["Python/1"] * 3
    assert len({line["generation"] for line in whole}) > 1
    path = evaluation.folder / "samples.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:30], encoding="utf-8")
    assert evaluation.sample("-n", "3") == whole


def test_equal_samples_are_all_kept(evaluation: Evaluation) -> None:
    lines = evaluation.sample("-n", "4", "--temperature", "0")
    assert [line["sample"] for line in lines] == [0, 1, 2, 3] * 2
    assert len({(line["task_id"], line["generation"]) for line in lines}) == 2


def test_a_translation_run_says_its_source_and_gets_a_page(evaluation: Evaluation) -> None:
    pytest.importorskip("matplotlib")
    out = evaluation.folder / "out"
    lines = evaluation.sample("--source", "java", "--out", str(out))
    assert {line["source"] for line in lines} == {"java"}
    (result,) = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert (result["task"], result["source"]) == ("translation", "java")
    assert result["languages"]["python"]["samples"] == 2
    assert "pass@" not in result["languages"]["python"]["pass_at_k"]
    both = evaluation.run("report", f"{out}.json", f"{out}.json", "--out", f"{out}-both")
    assert both.returncode == 0, both.stderr
    page = out.with_name("out-both.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "http://www.w3.org" in page
    assert "<script" not in page


def test_mtpb_finds_the_turns_before_in_the_kv_cache(evaluation: Evaluation) -> None:
    path = evaluation.folder / "dialogues.jsonl"
    arguments = ["mtpb", "--model", evaluation.model, "--samples", str(path), "--problems", "1"]
    done = evaluation.run(*arguments, "--max-tokens", "8")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["task_id"] for line in lines] == [f"1/{number}" for number in range(5)]
    for line in lines:
        assert line["cached_tokens"] > line["prompt_tokens"] / 2
        assert line["generation"].count("\n# ") == 5
    assert "of 5 passed" in done.stdout


def test_a_missing_model_is_one_sentence(evaluation: Evaluation) -> None:
    path = evaluation.folder / "none.jsonl"
    done = evaluation.run("humaneval-x", "--model", "/nowhere", "--samples", str(path))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "/nowhere" in done.stderr
