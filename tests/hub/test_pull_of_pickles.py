"""A model whose publisher has pickles alone: one command fetches it, and it can be used."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from local_hub import COMMIT, LocalHub
from safetensors.torch import load_file
from test_pull import assert_refused, models

sys.path.append(str(Path(__file__).resolve().parents[1] / "runtime"))
import tiny_hub

from model_runtime.folders import hub_folder, opening

MODEL, HUB_ID = "codegen-350m-mono", "Salesforce/codegen-350M-mono"
PICKLE = "pytorch_model.bin"


@pytest.fixture(autouse=True)
def cache(user: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is converted lies."""
    monkeypatch.setenv("CODEGEEX_CACHE_DIR", str(user / "cache"))
    return user / "cache" / "models" / MODEL


@pytest.fixture
def folder(user: Path, hub: LocalHub) -> Path:
    """The model as it was before it was pickled; the hub has it pickled."""
    folder = tiny_hub.write_folder(user / "published", "codegen")
    publish(hub, folder, load_file(folder / "model.safetensors"))
    return folder


def publish(hub: LocalHub, folder: Path, pickled: Any, hub_id: str = HUB_ID) -> None:
    buffer = io.BytesIO()
    torch.save(pickled, buffer)
    files = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".safetensors"
    }
    hub.repositories[hub_id] = files | {PICKLE: buffer.getvalue(), "modeling.py": b"raise"}


def pickles(user: Path) -> list[str]:
    """What of the pickle is left in the hub's cache."""
    found = user.glob(f"hub/models--{HUB_ID.replace('/', '--')}/**/*")
    return [path.name for path in found if path.is_file() and path.stat().st_size > 20_000]


def told(verb: str) -> Any:
    return json.loads(models(verb, MODEL, "--json").stdout)


def test_one_command_and_the_model_is_used(user: Path, folder: Path, cache: Path) -> None:
    done = models("pull", MODEL, answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "it comes as pickles, which are converted and then removed? [y/N]" in done.stderr
    assert f"{MODEL} is in {cache / COMMIT}\n" in done.stdout
    assert told("show")["state"] == "installed"
    assert models("path", MODEL).stdout == f"{cache / COMMIT}\n"
    assert pickles(user) == []
    ours, theirs = (load_file(at / "model.safetensors") for at in (cache / COMMIT, folder))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_is_asked_as_the_catalogue_says(folder: Path) -> None:
    assert models("pull", MODEL, "--yes").returncode == 0
    found = hub_folder.find(MODEL)
    assert found is not None
    assert found.name == MODEL
    loaded = opening.load(MODEL, torch.device("cpu"), torch.float32)
    assert loaded.name == MODEL


def test_a_second_pull_fetches_nothing(folder: Path, hub: LocalHub) -> None:
    models("pull", MODEL, "--yes")
    hub.repositories.clear()
    assert models("pull", MODEL, "--yes").returncode == 0
    assert hub.fetched(PICKLE) == [0]


def test_nor_does_a_second_pull_of_a_revision(folder: Path, hub: LocalHub, cache: Path) -> None:
    for _ in range(2):
        done = models("pull", MODEL, "--yes", "--revision", COMMIT)
        assert f"{MODEL} is in {cache / COMMIT}\n" in done.stdout
    assert hub.fetched(PICKLE) == [0]


def test_a_cache_that_cannot_be_written(
    user: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user / "file").write_text("")
    monkeypatch.setenv("CODEGEEX_CACHE_DIR", str(user / "file"))
    assert_refused(models("pull", MODEL, "--yes"), "can't be written", "CODEGEEX_CACHE_DIR")


def test_removing_it_removes_all_of_it(user: Path, folder: Path, cache: Path) -> None:
    models("pull", MODEL, "--yes")
    assert models("remove", MODEL, "--yes").returncode == 0
    assert told("show")["state"] == ""
    assert not cache.exists()


def test_a_pickle_of_another_program_stays(user: Path, folder: Path, hub: LocalHub) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(HUB_ID, endpoint=hub.address, cache_dir=user / "hub")
    assert models("pull", MODEL, "--yes").returncode == 0
    assert len(pickles(user)) >= 1


def test_a_line_that_breaks_goes_on_where_it_broke(folder: Path, hub: LocalHub) -> None:
    size = len(hub.repositories[HUB_ID][PICKLE])
    hub.cut[PICKLE] = size // 2
    assert_refused(models("pull", MODEL, "--yes"), "the line broke", "what came is kept")
    hub.cut.clear()
    assert models("pull", MODEL, "--yes").returncode == 0
    assert hub.fetched(PICKLE)[-1] == size // 2


class Code:
    def __reduce__(self) -> Any:
        return os.mkdir, ("it_ran",)


def test_code_in_the_pickle_never_runs(folder: Path, hub: LocalHub, cache: Path) -> None:
    publish(hub, folder, {"x": Code(), "y": torch.zeros(5000)})
    assert_refused(models("pull", MODEL, "--yes"), "holds code beside its tensors", "never run")
    assert not cache.joinpath(COMMIT).exists()
    assert not Path("it_ran").exists()
    assert not (Path(__file__).resolve().parents[2] / "it_ran").exists()


def test_what_could_not_be_served_is_not_fetched(folder: Path, hub: LocalHub) -> None:
    publish(hub, folder, {"x": torch.zeros(5000)}, "Salesforce/codet5p-2b")
    done = models("pull", "codet5p-2b", "--yes")
    assert_refused(done, "codet5p-2b is published as pickles", "never run")
    assert not hub.fetched(PICKLE)


def test_show_says_what_pull_will_do() -> None:
    shown = models("show", MODEL).stdout
    assert "it comes as pickles, which are converted and then removed (by pull)" in shown
    assert "pickles" not in models("show", "qwen2.5-coder-0.5b").stdout
