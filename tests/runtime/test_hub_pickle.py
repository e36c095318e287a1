"""A folder of the hub with pickles becomes the very model that transformers reads from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import tiny_t5
import torch
import transformers
from engine_bench import DEVICE
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_runtime.__main__ import main
from model_runtime.conversion import sources, target
from model_runtime.folders import opening
from model_runtime.folders.text_encoder import TextEncoder
from model_runtime.hub import cache, soundness
from model_runtime.text.tokenizer import Tokenizer

WEIGHTS, PICKLE = "model.safetensors", "pytorch_model.bin"


def pickled(folder: Path, shards: int = 1, more: dict[str, Tensor] | None = None) -> Path:
    """The same folder with its tensors as old repositories have them: pickles, tied ones twice."""
    tensors = load_file(folder / WEIGHTS) | (more or {})
    (folder / WEIGHTS).unlink()
    if shards == 1:
        torch.save(tensors, folder / PICKLE)
        return folder
    names = list(tensors)
    files = [f"pytorch_model-{n:05}-of-{shards:05}.bin" for n in range(1, shards + 1)]
    for n, file in enumerate(files):
        torch.save({name: tensors[name] for name in names[n::shards]}, folder / file)
    places = {name: files[n % shards] for n, name in enumerate(names)}
    index = {"metadata": {}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


def codegen(folder: Path, shards: int = 1) -> Path:
    mask = {"transformer.h.0.attn.causal_mask": torch.ones(8, 8, dtype=torch.bool)}
    return pickled(tiny_hub.write_folder(folder, "codegen"), shards, mask)


def t5(folder: Path, shards: int = 1) -> Path:
    tiny_t5.write_folder(folder)
    shared = load_file(folder / WEIGHTS)["shared.weight"]
    tied = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    return pickled(folder, shards, dict.fromkeys(tied, shared))


def gpt2(folder: Path, shards: int = 1) -> Path:
    return pickled(tiny_hub.write_folder(folder, "gpt2"), shards)


Make = Callable[..., Path]
MAKERS = pytest.mark.parametrize("make", [codegen, t5, gpt2])


def convert(source: Path, to: Path, *more: str) -> int:
    return main(["convert", str(source), str(to), *more])


def assert_refused(capsys: pytest.CaptureFixture[str], source: Path, *words: str) -> None:
    """One sentence, and no target."""
    to = source.parent / "refused"
    assert convert(source, to) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert all(word in told for word in words), told
    assert not to.exists()


@MAKERS
@pytest.mark.parametrize("shards", [1, 3])
def test_it_is_the_model_that_transformers_reads(tmp_path: Path, make: Make, shards: int) -> None:
    source = make(tmp_path / "source", shards)
    assert convert(source, tmp_path / "made") == 0
    kind: Any = transformers.AutoModelForCausalLM
    if make is t5:
        kind = transformers.T5ForConditionalGeneration
    theirs, ours = (
        kind.from_pretrained(folder, use_safetensors=safe, output_loading_info=True)
        for folder, safe in ((source, False), (tmp_path / "made", True))
    )
    assert not ours[1]["missing_keys"]
    expected = theirs[0].state_dict()
    assert ours[0].state_dict().keys() == expected.keys()
    for name, tensor in ours[0].state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@MAKERS
def test_models_use_takes_it_and_it_is_served(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "source")
    assert soundness.lacking(source)
    assert convert(source, tmp_path / "made") == 0
    assert cache.folder_of(str(tmp_path / "made")) == tmp_path / "made"
    loaded = opening.load(str(tmp_path / "made"), DEVICE.place, DEVICE.dtype)
    assert loaded.name == "made"


def test_a_tied_tensor_is_written_once_and_a_mask_never(tmp_path: Path) -> None:
    assert convert(t5(tmp_path / "t5"), tmp_path / "made_t5") == 0
    assert "lm_head.weight" not in load_file(tmp_path / "made_t5" / WEIGHTS)
    assert "shared.weight" in load_file(tmp_path / "made_t5" / WEIGHTS)
    assert convert(codegen(tmp_path / "codegen"), tmp_path / "made_codegen") == 0
    names = load_file(tmp_path / "made_codegen" / WEIGHTS).keys()
    assert "lm_head.weight" in names
    assert not any("causal_mask" in name for name in names)


def test_an_embedding_models_projection_stays(tmp_path: Path) -> None:
    folder = tmp_path / "embedding"
    words = len(tiny_t5.tokenizer_json()["model"]["vocab"])
    tiny_t5.write_folder(folder, transformers.T5EncoderModel(tiny_t5.config(words)))
    about = json.loads((folder / "config.json").read_text())
    about |= {"model_type": "codet5p_embedding", "auto_map": {"AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(about))
    projection = {"proj.weight": torch.randn(12, 32), "proj.bias": torch.randn(12)}
    whole = load_file(folder / WEIGHTS) | projection
    save_file(whole, folder / WEIGHTS, metadata={"format": "pt"})
    before = TextEncoder.load(folder, DEVICE.place, DEVICE.dtype)
    assert convert(pickled(folder), tmp_path / "made") == 0
    after = TextEncoder.load(tmp_path / "made", DEVICE.place, DEVICE.dtype)
    texts = before.tokens(["def read(path)"])
    assert torch.equal(before.vectors(texts), after.vectors(texts))


def test_an_old_tokenizer_becomes_a_new_one(tmp_path: Path) -> None:
    """CodeT5's repositories have vocab.json and merges.txt alone."""
    source = t5(tmp_path / "source")
    described = json.loads((source / "tokenizer.json").read_text())
    (source / "vocab.json").write_text(json.dumps(described["model"]["vocab"]))
    (source / "merges.txt").write_text("#version: 0.2\n")
    (source / "tokenizer.json").unlink()
    about = {"tokenizer_class": "RobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    about |= {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<pad>"}
    about |= {"mask_token": "<pad>"}
    extra = ["<extra_id_0>", "<extra_id_1>"]
    (source / "tokenizer_config.json").write_text(
        json.dumps({**about, "additional_special_tokens": extra})
    )
    assert convert(source, tmp_path / "made") == 0
    theirs = transformers.AutoTokenizer.from_pretrained(source)
    ours = Tokenizer.from_json(tmp_path / "made" / "tokenizer.json", (), tiny_t5.END)
    text = "def add(a, b):\n    return a + b"
    assert ours.encode(text) == theirs(text, add_special_tokens=False).input_ids
    assert set(extra) <= ours.controls.keys()
    assert opening.load(str(tmp_path / "made"), DEVICE.place, DEVICE.dtype).encoder is not None


class Code:
    def __reduce__(self) -> Any:
        return os.mkdir, ("it_ran",)


def test_code_in_a_pickle_never_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = codegen(tmp_path / "source")
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Code()}, source / PICKLE)
    assert_refused(capsys, source, "holds code", "never run")
    assert not (tmp_path / "it_ran").exists()


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "unheard-of"}')


def another_shape(folder: Path) -> None:
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, "vocab_size": 77}))


def fewer_tensors(folder: Path) -> None:
    tensors = torch.load(folder / PICKLE, weights_only=True)
    del tensors["lm_head.bias"]
    torch.save(tensors, folder / PICKLE)


def cut_off(folder: Path) -> None:
    data = (folder / PICKLE).read_bytes()
    (folder / PICKLE).write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("tokenizer.json"), ("has no tokenizer",)),
        (without(PICKLE), (f"lacks {PICKLE}",)),
        (another_kind, ("unheard-of", "doesn't know")),
        (another_shape, ("should be [77,",)),
        (fewer_tensors, ("lacks 1 tensors, lm_head.bias",)),
        (cut_off, ("cut off",)),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    words: tuple[str, ...],
) -> None:
    source = codegen(tmp_path / "source")
    spoil(source)
    assert_refused(capsys, source, *words)


def test_a_missing_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = codegen(tmp_path / "source", 3)
    (source / "pytorch_model-00002-of-00003.bin").unlink()
    assert_refused(capsys, source, "lacks pytorch_model-00002-of-00003.bin")
    (source / "pytorch_model.bin.index.json").write_text("[]")
    assert_refused(capsys, source, "can't be understood")


def test_what_needs_no_conversion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tiny_hub.write_folder(tmp_path / "source", "codegen")
    assert_refused(capsys, source, "has safetensors already", f"models use {source}")


def test_quantize_is_for_another_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = codegen(tmp_path / "source")
    assert convert(source, tmp_path / "made", "--quantize", "int8") == 2
    assert "--quantize and --heads are for CodeGeeX-13B" in capsys.readouterr().err


def test_a_full_disk_is_seen_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = codegen(tmp_path / "source")
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(target.shutil, "disk_usage", lambda _: full)
    assert_refused(capsys, source, "GB free")


def test_a_pickle_is_opened_anew_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = codegen(tmp_path / "source")
    whole, small = tmp_path / "whole", tmp_path / "small"
    assert convert(source, whole) == 0
    monkeypatch.setattr("model_runtime.conversion.hub_pickle.OPEN_FOR_BYTES", 100)
    assert convert(source, small) == 0
    assert (whole / WEIGHTS).read_bytes() == (small / WEIGHTS).read_bytes()
    assert sources.OPEN_FOR_BYTES > 100


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    source = codegen(tmp_path / "source")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "model_runtime", "convert", source, tmp_path / "made"],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert f"CODEGEEX_MODEL={tmp_path / 'made'}" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"source", "made"}
