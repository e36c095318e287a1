"""scripts/nano/export: a run becomes a model folder that the runtime loads, with its card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from networks import load_network
from safetensors.torch import save_file
from tiny import config, network, tokenizer_json

from model_runtime.folders import opening

SHAPE = config()


def run_export(scripts: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, scripts / "export", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder as train leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("run")
    halves = {name: tensor.half() for name, tensor in network(SHAPE).state_dict().items()}
    save_file(halves, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    shape = {name: getattr(SHAPE, name) for name in type(SHAPE).__dataclass_fields__}
    (folder / "config.json").write_text(json.dumps(shape))
    book = {
        "minutes": 90.0,
        "elapsed": 2700.0,
        "tokens": 8_300_000,
        "tokens_before": 12_000_000,
        "held_out": [[0, {"Go": 2.0, "Python": 3.0}], [8_300_000, {"Go": 1.0, "Python": 1.5}]],
    }
    (folder / "training.json").write_text(json.dumps(book))
    return folder


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus's list of packages."""
    folder = tmp_path_factory.mktemp("corpus")
    listed = [
        {"name": "alpha", "version": "1.2", "licence": "MIT", "origin": "wheel", "use": "mixture"},
        {"name": "beta", "version": "3", "licence": "MIT", "origin": "npm", "use": "mixture"},
        {"name": "gamma", "version": "4", "licence": "ISC", "origin": "wheel", "use": "held-out"},
    ]
    (folder / "packages.json").write_text(json.dumps(listed))
    return folder


def test_an_exported_run_is_a_model_that_loads(scripts: Path, run: Path, tmp_path: Path) -> None:
    result = run_export(scripts, run, tmp_path / "model")
    assert (result.returncode, result.stderr) == (0, "")
    model = opening.load(str(tmp_path / "model"), torch.device("cpu"), torch.float32)
    assert model.config == SHAPE
    exact = network(SHAPE).state_dict()["embedding.word_embeddings.weight"]
    found = load_network(tmp_path / "model").state_dict()["embedding.word_embeddings.weight"]
    # A row's largest weight is 127 steps; rounding is half a step, and float16 adds a little.
    steps = exact.abs().amax(dim=1, keepdim=True) / 127
    assert ((found - exact).abs() <= 0.6 * steps).all()


def test_the_card_states_data_tokens_and_figures(
    scripts: Path, run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    figures = tmp_path / "figures.md"
    figures.write_text("| exact | 12 % |\n")
    arguments = ("--corpus", corpus_folder, "--figures", figures)
    result = run_export(scripts, run, tmp_path / "model", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "20.3 million tokens" in card
    assert "had seen 12.0 million tokens, for another 8.3 million tokens in 45 minutes" in card
    assert "was at 50% of its way" in card
    assert "| Go | 2.00 | 1.00 |" in card
    assert "| mean | 2.50 | 1.25 |" in card
    assert "| exact | 12 % |" in card
    assert "2 packages: 1 Python wheels, 1 npm packages" in card
    assert "**MIT:** alpha 1.2, beta 3." in card
    assert "gamma" not in card
    assert "$" not in card


def test_a_run_without_a_book_has_no_card(scripts: Path, run: Path, tmp_path: Path) -> None:
    result = run_export(scripts, run, tmp_path / "model", "--corpus", tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"export: {run} can't be exported: ")
    assert result.stderr.count("\n") == 1
