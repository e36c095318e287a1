"""What is said of the catalogue's models before they are here is what the loader says then.

data/networks.json has of each model what its published config.json says of its size.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import torch
from engine_bench import DEVICE, Bench
from huggingface_hub import constants

from model_runtime.commands import models as commands
from model_runtime.device import system_memory
from model_runtime.errors import RuntimeFailure
from model_runtime.folders import fit, opening
from model_runtime.folders.fit import GIB, PROGRAM_BYTES, FitError
from model_runtime.folders.forecast import forecast
from model_runtime.folders.loaded import MemoryPlan
from model_runtime.hub import cache, catalogue
from model_runtime.hub.catalogue import Ability, Model
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.kept import Precision

CPU = torch.device("cpu")
MODELS = list(catalogue.models().values())
CONFIGS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "networks.json").read_text(encoding="utf-8")
)
# Networks that transformers hasn't, or whose attention has no cache of keys and values.
REFUSED = {
    *("codegeex2-6b", "codegeex4-9b", "codet5p-2b", "codet5p-6b", "codet5p-16b"),
    "deepseek-coder-v2-lite",
}
MEMORY_GIB = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)


def here(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were fetched, its weights without a byte."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("CODEGEEX_CACHE_DIR", str(folder))
    snapshot = cache.converted_folder(model) / "a"
    if model.hub:
        snapshot = folder / cache.repository_folder(model.hub) / "snapshots" / "a"
    snapshot.mkdir(parents=True)
    config = CONFIGS.get(model.name, {"model_type": model.architecture, "kv_lora_rank": 512})
    (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (snapshot / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (snapshot / "tokenizer.json").touch()


def planned(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryPlan:
    """The loader's own, in float16 where another precision isn't the folder's."""
    if model.name == "codegeex-13b":  # its publisher gives it to those who ask
        config, floats = CodeGeeXConfig(5120, 39, 40, 52224, 2048), Precision.FLOAT16
        return MemoryPlan(model.name, floats, floats, config, torch.float32, CPU)
    if model.hub or model.package:
        here(model, folder, monkeypatch)
    return opening.plan(model.name, CPU, torch.float32)


def verdict(plan: MemoryPlan, free: int) -> tuple[str, int]:
    """The largest precision that the loader goes on with, and its context."""
    for kept in Precision:
        try:
            need = dataclasses.replace(plan, kept=kept).need(free)
        except FitError:
            continue
        return kept, need.kv.context
    return "", 0


def available(size: float, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = folder / "meminfo"
    meminfo.write_text(f"MemAvailable: {int(size) // 1024} kB\n", encoding="ascii")
    monkeypatch.setattr(system_memory, "MEMORY", meminfo)
    monkeypatch.setattr(system_memory, "OWN_GROUPS", folder / "no groups")


def listed(
    free: float, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, tuple[str, int]]:
    """What `models list` says where so much is free for the runtime's process."""
    available(free + PROGRAM_BYTES, folder, monkeypatch)
    parser = argparse.ArgumentParser()
    commands.add_to(parser.add_subparsers())
    options = parser.parse_args(["models", "list", "--json"])
    assert options.run(options) == 0
    told = json.loads(capsys.readouterr().out)
    return {one["name"]: (one["fits"], one["served_context"]) for one in told}


@pytest.fixture(scope="module")
def every_listing(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Any]:
    return {}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_list_says_what_the_loader_says(
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    every_listing: dict[float, Any],
) -> None:
    for gib in MEMORY_GIB:
        if gib not in every_listing:
            every_listing[gib] = listed(gib * GIB, tmp_path, monkeypatch, capsys)
    found = {gib: every_listing[gib][model.name] for gib in MEMORY_GIB}
    if model.abilities == {Ability.EMBED}:
        enough = fit.encoder_bytes(model.parameters, "float32")
        assert {gib: kept != "" for gib, (kept, _) in found.items()} == {
            gib: enough <= gib * GIB for gib in MEMORY_GIB
        }
    elif model.name in REFUSED:
        with pytest.raises(RuntimeFailure):
            planned(model, tmp_path, monkeypatch)
        assert set(found.values()) == {("", 0)}
    else:
        plan = planned(model, tmp_path, monkeypatch)
        assert found == {gib: verdict(plan, int(gib * GIB)) for gib in MEMORY_GIB}
        total = plan.shape.linear_parameters + plan.shape.other_parameters
        assert total == pytest.approx(model.parameters, rel=0.005)


def test_a_model_of_seven_billion_fits_a_usual_machine() -> None:
    """16 GiB with an editor open: 11 GiB."""
    found = forecast(catalogue.find("codellama-7b"), 11 * GIB)
    assert (found.kept, found.context) == (Precision.INT8, 2048)
    found = forecast(catalogue.find("codellama-7b"), 7 * GIB)
    assert (found.kept, found.context) == (Precision.INT4, 2048)


@pytest.mark.parametrize(
    ("free_mib", "rows", "context"),
    [(9000, (2, 2), 8192), (900, (2, 2), 2048), (400, (1, 0), 2048)],
)
def test_the_engine_serves_what_there_is_room_for(
    free_mib: int,
    rows: tuple[int, int],
    context: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """64 KiB a position: 16 layers of 8 heads of 128, in bfloat16."""
    sizes = {"num_hidden_layers": 16, "num_attention_heads": 8, "num_key_value_heads": 8}
    folder = tiny_hub.write_folder(
        tmp_path / "m", "llama", head_dim=128, max_position_embeddings=8192, **sizes
    )
    available(free_mib * 2**20, tmp_path, monkeypatch)
    bench = Bench(tmp_path, opening.load(str(folder), CPU, torch.float32))
    cache = bench.engine.cache
    assert ((cache.slots, cache.branches), cache.context) == (rows, context)
    bench.engine.device = dataclasses.replace(DEVICE, prefill_chunk=512)
    answer = bench.ask("value = 1\n" * 210, max_new_tokens=4)
    assert answer.candidates
    assert 0 < answer.timing.prompt_tokens < context
