"""`models use` tries a folder before it is written: what is wrong is said then, with what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_gguf
from test_models_command import EMBEDDED, ROOT, Done, assert_refused, models, used

pytestmark = pytest.mark.timeout(300)  # torch and transformers are imported

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 145432\n"
Damage = Callable[[Path], object]


def edit(name: str, **fields: Any) -> Damage:
    def change(folder: Path) -> None:
        told = json.loads((folder / name).read_text("utf-8")) | fields
        (folder / name).write_text(json.dumps(told), encoding="utf-8")

    return change


def write(name: str, data: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(data)


def rename(old: str, new: str) -> Damage:
    return lambda folder: (folder / old).rename(folder / new)


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def mark(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes(
        b"\xef\xbb\xbf" + (folder / name).read_bytes()
    )


def parts(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("{}")
    (folder / "merges.txt").write_text("")


def endless(folder: Path) -> None:
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        told = json.loads((folder / name).read_text("utf-8"))
        left = {key: value for key, value in told.items() if not key.startswith("eos_token")}
        (folder / name).write_text(json.dumps(left))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def only_gguf(folder: Path) -> None:
    empty(folder)
    (folder / "model-Q4.GGUF").write_bytes(b"GGUF")


def pipe(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def index(*names: Any) -> Damage:
    told = json.dumps({"weight_map": {str(n): name for n, name in enumerate(names)}})
    return write("model.safetensors.index.json", told.encode())


WEIGHTS = "model.safetensors"
DAMAGES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "empty": (empty, ("it has no config.json",)),
    "no weights": (rename(WEIGHTS, "x.txt"), (f"it lacks {WEIGHTS}",)),
    "pickles": (rename(WEIGHTS, "pytorch_model.bin"), ("pickle files", "codegeex-runtime convert")),
    "gguf beside": (
        only_gguf,
        ("is a GGUF file; run: codegeex-lsp models use ",),
    ),
    "cut off": (cut, (f"{WEIGHTS} is cut off, ", "bytes; fetch it again.")),
    "no safetensors": (write(WEIGHTS, b"\x80\x04 a pickle"), ("is no whole safetensors file",)),
    "nothing in it": (write(WEIGHTS, b""), ("is no whole safetensors file; fetch it again",)),
    "pointer": (write(WEIGHTS, POINTER), (WEIGHTS, "run in its folder: git lfs pull.")),
    "tokenizer pointer": (write("tokenizer.json", POINTER), ("tokenizer.json", "git lfs pull.")),
    "shard missing": (index(WEIGHTS, "b.safetensors"), ("it lacks b.safetensors",)),
    "shard outside": (index("../other.safetensors"), ("index.json names no files of it",)),
    "odd index": (index(3, ["a"]), ("index.json names no files of it",)),
    "no tokenizer": (rename("tokenizer.json", "x"), ("it has no tokenizer.json; get it from",)),
    "tokenizer's parts": (parts, ("it has no tokenizer.json; make one", "AutoTokenizer")),
    "odd tokenizer": (write("tokenizer.json", b"{}"), ("tokenizer.json can't be used",)),
    "no end": (endless, ("doesn't say which token ends a text; add its id", "eos_token_id")),
    "marked": (mark("config.json"), ("config.json can't be understood", "UTF-8 without one")),
    "marked tokenizer": (mark("tokenizer.json"), ("tokenizer.json can't be understood",)),
    "no JSON": (write("config.json", b"{"), ("config.json can't be understood",)),
    "deep": (write("config.json", b"[" * 200_000), ("config.json can't be understood",)),
    "pipe": (pipe, ("config.json is no regular file",)),
    "unknown network": (edit("config.json", model_type="poem"), ('"poem" network', "models list")),
    "no decoder": (edit("config.json", model_type="bart"), ('"bart" network', "models list")),
    "other tokenizer": (edit("config.json", vocab_size=9), ("belong to different models",)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_folder_that_cannot_be_used_is_not_written(user: Path, whole: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    folder = shutil.copytree(whole, user / "m")
    damage(folder)
    assert_refused(models("use", str(folder)), folder.name, *words, code=2)
    assert (user / "config.toml").read_text() == ""


def test_a_whole_one_is_written_and_shown(user: Path, whole: Path) -> None:
    folder = shutil.copytree(whole, user / "m")
    done = models("use", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert used() == str(folder)
    assert f"used       {folder} " in models("list").stdout
    [row] = [row for row in json.loads(models("list", "--json").stdout) if row["state"] == "used"]
    assert (row["name"], row["folder"], row["architecture"]) == (str(folder), str(folder), "qwen2")
    assert {"complete", "infill"} <= set(row["abilities"])
    assert row["sizes"]["float16"] > 2000
    shown = models("show", str(folder))
    assert shown.returncode == 0
    assert "state     used" in shown.stdout
    assert "network   qwen2" in shown.stdout


def test_one_that_broke_since_is_still_the_one_that_is_used(user: Path, whole: Path) -> None:
    folder = shutil.copytree(whole, user / "m")
    (user / "config.toml").write_text(f'model = "{folder}"\n')
    (folder / WEIGHTS).write_bytes(POINTER)
    [row] = [row for row in json.loads(models("list", "--json").stdout) if row["state"] == "used"]
    assert row["name"] == str(folder)
    assert "git lfs pull" in row["note"]
    assert_refused(models("show", str(folder)), "git lfs pull", code=2)


def test_ours_are_tried_as_well(user: Path) -> None:
    folder = shutil.copytree(EMBEDDED, user / "ours")
    path = folder / WEIGHTS
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    assert_refused(models("use", str(folder)), "is damaged: it has", code=2)
    path.write_bytes(POINTER)
    assert_refused(models("use", str(folder)), "git lfs pull", code=2)
    path.write_bytes(data)
    assert models("use", str(folder)).returncode == 0
    assert "can       complete" in models("show", str(folder)).stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.safetensors", ("is a file; name the folder that holds the model",)),
        ("missing.gguf", ("There is no model folder", "missing.gguf")),
        ("loop", ("There is no model folder",)),
    ],
)
def test_what_is_no_folder(user: Path, name: str, words: tuple[str, ...]) -> None:
    path = user / name
    if name == "loop":
        path.symlink_to(path)
    elif not name.startswith("missing"):
        path.write_bytes(b"GGUF")
    for verb in ("use", "show", "path"):
        assert_refused(models(verb, str(path)), str(path), *words, code=2)
    assert (user / "config.toml").read_text() == ""


def test_a_gguf_file_is_made_into_a_folder_once(user: Path) -> None:
    path = tiny_gguf.write(user / "m.gguf", "llama", tiny_gguf.network("llama"))
    assert_refused(
        models("show", str(path)), "is a GGUF file; run: codegeex-lsp models use", code=2
    )
    assert models("use", str(path)).returncode == 0
    folder = tomllib.loads((user / "config.toml").read_text())["model"]
    made = (Path(folder) / WEIGHTS).stat().st_mtime_ns
    assert models("use", str(path)).returncode == 0
    assert (Path(folder) / WEIGHTS).stat().st_mtime_ns == made
    assert "/gguf/m-" in folder
    assert "can       complete" in models("show", folder).stdout


def test_a_damaged_gguf_file_is_not_used(user: Path) -> None:
    (user / "m.gguf").write_bytes(b"GGUF")
    assert_refused(models("use", str(user / "m.gguf")), "is damaged or ends too soon", code=2)
    assert (user / "config.toml").read_text() == ""


@pytest.mark.parametrize("part", ["", "config.json", WEIGHTS, "tokenizer.json"])
def test_what_may_not_be_read(user: Path, whole: Path, part: str) -> None:
    """Root may read everything, but for who gave that right up."""
    folder = shutil.copytree(whole, user / "m")
    (folder / part).chmod(0)
    command = [sys.executable, "-m", "codegeex_lsp", "models", "use", str(folder)]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read everything here")
        given_up = "-dac_override,-dac_read_search"
        command[:0] = ["setpriv", f"--bounding-set={given_up}", f"--inh-caps={given_up}"]
    done: Done = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=240
    )
    (folder / part).chmod(0o700)
    assert_refused(done, str(folder), "can't be read: Permission denied", code=2)


def test_a_folder_of_ones_own_is_neither_fetched_nor_removed(user: Path, whole: Path) -> None:
    for verb in ("pull", "remove"):
        assert_refused(models(verb, str(whole)), "is neither fetched nor removed", code=2)
    assert whole.is_dir()


def test_the_embedding_model_is_marked_too(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGEEX_EMBEDDING_MODEL", "codegeex-nano")
    monkeypatch.setenv("CODEGEEX_MODEL", "qwen2.5-coder-0.5b")
    [row] = [row for row in json.loads(models("list", "--json").stdout) if row["state"] == "used"]
    assert row["name"] == "codegeex-nano"
