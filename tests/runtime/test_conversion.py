"""Conversion: every published format gives the same bytes, and what is bad gives one sentence."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from golden_model import GoldenModel, matrices, prompts
from networks import blank_rows, load_network
from safetensors.torch import load_file
from torch import Tensor

from model_runtime import options
from model_runtime.__main__ import main
from model_runtime.conversion import layout, sources, target
from model_runtime.conversion.checkpoint import convert
from model_runtime.conversion.progress import Progress
from model_runtime.errors import WeightsError
from model_runtime.folders import native, opening
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.quantization import quantize_int8

ONE_SHARD = "model-00001-of-00001.safetensors"
WORDS = "embedding.word_embeddings.weight"
POSITIONS = "embedding.position_embeddings.weight"
TOP_QUERIES = "topQueryEmbedding.top_query_embeddings.weight"
NORM = "transformer.final_layernorm.weight"
QUERY = "transformer.layers.1.attention.query.weight"

QKV = ("query", "key", "value")

Tensors = dict[str, Tensor]


# --- checkpoints in every format --------------------------------------------------------------


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """A tiny network: hidden 32, two blocks, two heads."""
    state = tiny.network(tiny.config(context=64)).state_dict()
    return {name: tensor.half() for name, tensor in state.items()}


def nested(tensors: Tensors) -> dict[str, Any]:
    """As published: embeddings nested, the rest under flat names."""
    model: dict[str, Any] = {"embedding": {}, "topQueryEmbedding": {}, "transformer": {}}
    for name, tensor in tensors.items():
        part, _, inside = name.partition(".")
        if part == "transformer":
            model[part][inside] = tensor
        else:
            table, kind = inside.split(".")
            model[part].setdefault(table, {})[kind] = tensor
    return {"module": {"language_model": model}}


def single(tensors: Tensors, folder: Path) -> Path:
    torch.save(nested(tensors), folder / "model.pt")
    return folder / "model.pt"


def merged(tensors: Tensors) -> Tensors:
    """query_key_value in the blocks, key_value in the top query layer, at the end as published."""
    kept = {name: t for name, t in tensors.items() if name.split(".")[-2] not in QKV}
    for name in tensors:
        block, part, kind = name.rsplit(".", 2)
        if part == "value":
            parts = QKV[1:] if "topQueryLayer" in block else QKV
            joined = torch.cat([tensors[f"{block}.{each}.{kind}"] for each in parts])
            kept[f"{block}.{'_'.join(parts)}.{kind}"] = joined
            if len(parts) == 2:
                kept[f"{block}.query.{kind}"] = tensors[f"{block}.query.{kind}"]
    return kept


def rank(tensors: Tensors, index: int, count: int) -> Tensors:
    """What one of `count` tensor-parallel ranks holds."""
    split = {}
    for name, tensor in tensors.items():
        module, kind = name.split(".")[-2:]
        rows = module in (*QKV, "dense_h_to_4h", "word_embeddings", "top_query_embeddings")
        columns = module in ("dense", "dense_4h_to_h") and kind == "weight"
        axis = 0 if rows else 1 if columns else None
        split[name] = tensor if axis is None else tensor.chunk(count, axis)[index].clone()
    return split


def ranks(tensors: Tensors, folder: Path, count: int = 2) -> Path:
    folder = folder / f"mp{count}"
    folder.mkdir()
    for index in range(count):
        torch.save(nested(rank(tensors, index, count)), rank_file(folder, index))
    return folder


def rank_file(folder: Path, index: int) -> Path:
    return folder / f"mp_rank_{index:02}_model_states.pt"


MINDSPORE_TABLES = {
    WORDS: "embedding.word_embedding.embedding_table",
    POSITIONS: "embedding.position_embedding.embedding_table",
    TOP_QUERIES: "top_query_embedding.embedding_table",
    NORM: "layernorm.gamma",
    "transformer.final_layernorm.bias": "layernorm.beta",
}
MINDSPORE_MODULES = {
    "attention.query": "attention.dense1",
    "attention.key": "attention.dense2",
    "attention.value": "attention.dense3",
    "attention.dense": "attention.projection",
    "mlp.dense_h_to_4h": "output.mapping",
    "mlp.dense_4h_to_h": "output.projection",
    "input_layernorm": "layernorm1",
    "post_attention_layernorm": "layernorm2",
}


def mindspore(tensors: Tensors, folder: Path) -> Path:
    folder = folder / "npy"
    folder.mkdir()
    for name, tensor in tensors.items():
        np.save(folder / f"backbone.{mindspore_name(name)}.npy", mindspore_layout(name, tensor))
    np.save(folder / "global_step.npy", np.zeros(1))
    return folder


def mindspore_name(name: str) -> str:
    match = re.fullmatch(r"transformer\.(?:layers\.(\d+)|topQueryLayer)\.(.+)\.(\w+)", name)
    if match is None:
        return MINDSPORE_TABLES[name]
    number, module, kind = match.groups()
    block = "top_query_layer" if number is None else f"blocks.{number}"
    if "layernorm" in module:
        kind = {"weight": "gamma", "bias": "beta"}[kind]
    return f"{block}.{MINDSPORE_MODULES[module]}.{kind}"


def mindspore_layout(name: str, tensor: Tensor) -> Any:
    transposed = name.endswith(("dense.weight", "dense_h_to_4h.weight", "dense_4h_to_h.weight"))
    return np.ascontiguousarray(tensor.numpy().T) if transposed else tensor.numpy()


def run(source: Path, made: Path, *options: str, heads: int = 2) -> int:
    return main(["convert", str(source), str(made), "--heads", str(heads), *options])


def converted(source: Path, made: Path, *options: str, heads: int = 2) -> bytes:
    """The bytes of the one shard."""
    assert run(source, made, *options, heads=heads) == 0
    assert {path.name for path in made.parent.iterdir()} >= {made.name}
    return (made / ONE_SHARD).read_bytes()


# --- against the published code ---------------------------------------------------------------

GOLDEN_SOURCES: dict[str, Callable[[GoldenModel, Path], Path]] = {
    "single": lambda golden, _: golden.checkpoint,
    "merged": lambda golden, _: golden.folder / "variants/codegeex_tiny_qkv.pt",
    "ranks": lambda golden, _: golden.folder / "variants/mp2",
    "mindspore": lambda golden, tmp: mindspore(golden.tensors(), tmp),
}


@pytest.mark.parametrize("format", GOLDEN_SOURCES)
def test_every_published_format_gives_the_published_logits(
    golden_model: GoldenModel, tmp_path: Path, format: str
) -> None:
    heads = golden_model.config.num_attention_heads
    source = GOLDEN_SOURCES[format](golden_model, tmp_path)
    found = converted(source, tmp_path / "made", heads=heads)
    assert found == converted(golden_model.checkpoint, tmp_path / "single", heads=heads)
    stored, expected = load_file(tmp_path / "made" / ONE_SHARD), golden_model.tensors()
    assert stored.keys() == expected.keys()
    assert all(torch.equal(stored[name], expected[name]) for name in expected)
    vectors = golden_model.vectors("logits")
    assert_logits(load_network(tmp_path / "made"), vectors, "logits")


@pytest.mark.parametrize("format", GOLDEN_SOURCES)
def test_int8_is_the_published_one(golden_model: GoldenModel, tmp_path: Path, format: str) -> None:
    source = GOLDEN_SOURCES[format](golden_model, tmp_path)
    heads = golden_model.config.num_attention_heads
    converted(source, tmp_path / "made", "--quantize", "int8", heads=heads)
    stored, vectors = load_file(tmp_path / "made" / ONE_SHARD), golden_model.vectors("quant")
    for golden, name in matrices(vectors).items():
        if name is not None:
            assert torch.equal(stored[f"{name}.weight"], vectors[f"{golden}.int8.q"])
            assert torch.equal(stored[f"{name}.weight.scale"], vectors[f"{golden}.int8.scale"])
    assert_logits(load_network(tmp_path / "made"), vectors, "logits_int8_fp32")


def assert_logits(network: CodeGeeX, vectors: Mapping[str, Tensor], expected: str) -> None:
    for prompt in prompts(vectors):
        ids = torch.atleast_2d(vectors[f"{prompt}.input_ids"])
        with torch.inference_mode():
            found = network(ids, blank_rows(network.config, len(ids)), 0, all_positions=True)
        wanted = vectors[f"{prompt}.{expected}"].view_as(found)
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


# --- formats ----------------------------------------------------------------------------------

FORMATS: dict[str, Callable[[Tensors, Path], Path]] = {
    "ranks": ranks,
    "four-ranks": lambda tensors, tmp: ranks(tensors, tmp, 4),
    "one-rank": lambda tensors, tmp: ranks(tensors, tmp, 1),
    "mindspore": mindspore,
    "merged": lambda tensors, tmp: single(merged(tensors), tmp),
    "flat": lambda tensors, tmp: saved(tmp, tensors),
    "flat-deeper": lambda tensors, tmp: saved(
        tmp, {f"module.language_model.{name}": tensor for name, tensor in tensors.items()}
    ),
    "no-module": lambda tensors, tmp: saved(tmp, nested(tensors)["module"]),
    "extras": lambda tensors, tmp: saved(
        tmp,
        nested(tensors)
        | {
            "iteration": 213000,
            "checkpoint_version": 3.0,
            "args": argparse.Namespace(num_layers=39, params_dtype=torch.float16),
            "optimizer": {"state": {"exp_avg": torch.ones(3)}, "groups": [{"lr": 1e-4}]},
        },
    ),
}


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "model.pt")
    return folder / "model.pt"


@pytest.mark.parametrize("scheme", ["none", "int8", "int4"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_bytes(
    tensors: Tensors, tmp_path: Path, format: str, scheme: str
) -> None:
    (tmp_path / "other").mkdir()
    expected = converted(
        single(tensors, tmp_path / "other"), tmp_path / "expected", "--quantize", scheme
    )
    source = FORMATS[format](tensors, tmp_path)
    assert converted(source, tmp_path / "made", "--quantize", scheme) == expected


def test_merged_ranks_come_apart_before_they_are_joined(tensors: Tensors, tmp_path: Path) -> None:
    folder = tmp_path / "mp2"
    folder.mkdir()
    for index in range(2):
        torch.save(nested(merged(rank(tensors, index, 2))), rank_file(folder, index))
    expected = converted(single(tensors, tmp_path), tmp_path / "expected")
    assert converted(folder, tmp_path / "made") == expected


def test_float32_is_rounded_and_said(
    tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = converted(single(tensors, tmp_path), tmp_path / "expected")
    assert "float32" not in capsys.readouterr().err
    source = single({name: tensor.float() for name, tensor in tensors.items()}, tmp_path)
    assert converted(source, tmp_path / "made") == expected
    assert capsys.readouterr().err.count("rounded to float16.\n") == 1


def test_int8_holds_the_blocks_matrices_only(tensors: Tensors, tmp_path: Path) -> None:
    converted(single(tensors, tmp_path), tmp_path / "made", "--quantize", "int8")
    stored = load_file(tmp_path / "made" / ONE_SHARD)
    quantized = {name for name, tensor in stored.items() if tensor.dtype == torch.int8}
    matrices = (*QKV, "dense", "dense_h_to_4h", "dense_4h_to_h")
    assert quantized == {
        name for name in tensors if name.split(".")[-2] in matrices and name.endswith(".weight")
    }
    assert len(quantized) == 18
    assert stored.keys() - tensors.keys() == {f"{name}.scale" for name in quantized}
    for name in quantized:
        codes, scale = quantize_int8(tensors[name])
        assert torch.equal(stored[name], codes)
        assert torch.equal(stored[f"{name}.scale"], scale)


def test_rows_are_quantized_in_groups_alike(
    tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = single(tensors, tmp_path)
    expected = converted(source, tmp_path / "expected", "--quantize", "int8")
    monkeypatch.setattr(layout, "ROWS_AT_ONCE", 7)
    assert converted(source, tmp_path / "made", "--quantize", "int8") == expected


def test_opening_the_source_again_and_again(
    tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ranks(tensors, tmp_path)
    expected = converted(source, tmp_path / "expected")
    monkeypatch.setattr(sources, "OPEN_FOR_BYTES", 1)
    assert converted(source, tmp_path / "made") == expected


def test_a_converted_folder_is_quantized_later(tensors: Tensors, tmp_path: Path) -> None:
    source = single(tensors, tmp_path)
    expected = converted(source, tmp_path / "expected", "--quantize", "int8")
    half = converted(source, tmp_path / "half")
    made = tmp_path / "made"
    assert main(["convert", str(tmp_path / "half"), str(made), "--quantize", "int8"]) == 0
    assert (made / ONE_SHARD).read_bytes() == expected
    assert converted(tmp_path / "half", tmp_path / "again") == half


def test_shards(tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 20_000)
    made = tmp_path / "made"
    assert run(single(tensors, tmp_path), made, "--quantize", "int8") == 0
    files = native.read_description(made).weights
    count = len(files)
    assert count > 3
    expected = [f"model-{index:05}-of-{count:05}.safetensors" for index in range(1, count + 1)]
    assert files == expected
    stored = [load_file(made / file) for file in files]
    assert sum(map(len, stored)) == len(tensors) + 18
    assert all(sum(tensor.nbytes for tensor in shard.values()) <= 20_000 for shard in stored)
    network = load_network(made)
    assert torch.equal(network.embedding.word_embeddings.weight, tensors[WORDS].float())
    (made / files[1]).unlink()
    with pytest.raises(WeightsError, match=f"lacks {files[1]}"):
        load_network(made)


def test_what_was_made_is_a_model(tmp_path: Path) -> None:
    """With the vocabulary of CodeGeeX-13B it loads whole, tokenizer and all."""
    torch.manual_seed(0)
    network = CodeGeeX(CodeGeeXConfig(8, 1, 2, 52224, 16)).half()
    made = tmp_path / "made"
    converted(single(dict(network.state_dict()), tmp_path), made)
    model = opening.load(str(made), torch.device("cpu"), torch.float32)
    assert model.name == "made"
    assert model.config == network.config
    assert model.format == "codegeex"
    assert model.tokenizer.vocab_size == 50400
    assert model.tokenizer.encode("  def") == [50266, 4299]
    (made / "vocab.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"vocab\.json is damaged"):
        opening.load(str(made), torch.device("cpu"), torch.float32)


def test_a_vocabulary_too_small_for_the_tokenizer(tensors: Tensors, tmp_path: Path) -> None:
    converted(single(tensors, tmp_path), tmp_path / "made")
    with pytest.raises(WeightsError, match="has 50400 tokens and the network only 260"):
        opening.load(str(tmp_path / "made"), torch.device("cpu"), torch.float32)


# --- bad input --------------------------------------------------------------------------------


@pytest.fixture
def assert_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Called with source, sentence and options: exit code 2, one sentence, nothing left behind."""

    def refused(source: Path, sentence: str, *options: str) -> None:
        place = tmp_path / "place"
        place.mkdir(exist_ok=True)
        arguments = ["convert", str(source), str(place / "made")]
        assert main([*arguments, *(options or ("--heads", "2"))]) == 2
        *notes, message = capsys.readouterr().err.splitlines()
        assert sentence in message
        assert message.endswith(".")
        assert all("GB, " in note or "rounded" in note for note in notes)
        assert list(place.iterdir()) == []

    return refused


class Touches:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_code_in_a_pickle_is_not_run(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    proof = tmp_path / "proof"
    assert_refused(
        saved(tmp_path, nested(tensors) | {"args": Touches(proof)}), "which is never run"
    )
    assert not proof.exists()


@pytest.mark.parametrize("keep", [0, 1, 100, 5_000, -1_000, -1])
def test_a_file_cut_off(tensors: Tensors, tmp_path: Path, assert_refused: Any, keep: int) -> None:
    source = single(tensors, tmp_path)
    source.write_bytes(source.read_bytes()[:keep])
    assert_refused(source, f"{source} is cut off, damaged, or no checkpoint")


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, {}, torch.ones(2), {"module": {"language_model": {}}}]
)
def test_a_file_without_a_model(tmp_path: Path, assert_refused: Any, content: object) -> None:
    assert_refused(saved(tmp_path, content), "model.pt ")


def test_an_old_pickle(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert_refused(tmp_path / "old.pt", "no checkpoint that PyTorch 1.6 or newer wrote")


def test_nothing_there(tmp_path: Path, assert_refused: Any) -> None:
    assert_refused(tmp_path / "nowhere", "There is no checkpoint")
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", "is no checkpoint: it needs mp_rank_00_model_states.pt")


def test_a_folder_in_the_place_of_a_file(
    tensors: Tensors, tmp_path: Path, assert_refused: Any
) -> None:
    """Root may read every file, but nobody a folder."""
    folder = ranks(tensors, tmp_path)
    rank_file(folder, 1).unlink()
    rank_file(folder, 1).mkdir()
    assert_refused(folder, f"{rank_file(folder, 1)} can't be read: Is a directory")
    folder = mindspore(tensors, tmp_path)
    (folder / "backbone.layernorm.gamma.npy").unlink()
    (folder / "backbone.layernorm.gamma.npy").mkdir()
    assert_refused(folder, "backbone.layernorm.gamma.npy can't be read: Is a directory")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    source = single(tensors, tmp_path)
    source.chmod(0)
    assert_refused(source, "can't be read: Permission denied")


def without(tensors: Tensors, name: str) -> Tensors:
    return {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: without(t, NORM), f"lacks 1 tensors, {NORM} among them"),
        (lambda t: without(t, QUERY), f"lacks 1 tensors, {QUERY} among them"),
        (lambda t: without(t, WORDS), "another model than CodeGeeX-13B"),
        (lambda t: without(t, POSITIONS), "another model than CodeGeeX-13B"),
        (lambda t: t | {"transformer.extra": torch.ones(2).half()}, "doesn't have"),
        (lambda t: t | {"lm_head.weight": torch.ones(2).half()}, "doesn't have"),
        (lambda t: t | {"transformer.layers.7.x": torch.ones(2).half()}, "lacks 16 tensors"),
        (lambda t: t | {QUERY: torch.ones(32, 31).half()}, "[32, 31]; floats [32, 32] are"),
        (lambda t: t | {NORM: torch.ones(31).half()}, "[31]; floats [32] are needed"),
        (lambda t: t | {WORDS: torch.ones(32).half()}, "is [32] and no table"),
        (lambda t: t | {WORDS: torch.ones(0, 32).half()}, "is [0, 32] and no table"),
        (lambda t: t | {QUERY: torch.ones(32, 32).to(torch.int8)}, "is torch.int8, which"),
        (lambda t: t | {QUERY: torch.full((32, 32), torch.nan).half()}, "float16 can't"),
        (lambda t: t | {QUERY: torch.full((32, 32), 1e6)}, "float16 can't"),
        (lambda t: t | {f"module.{QUERY}": t[QUERY]}, f"holds {QUERY} twice"),
    ],
)
def test_tensors_that_do_not_fit(
    tensors: Tensors,
    tmp_path: Path,
    assert_refused: Any,
    change: Callable[[Tensors], Tensors],
    sentence: str,
) -> None:
    source = saved(tmp_path, change(tensors))
    assert_refused(source, sentence)


def test_another_family(tmp_path: Path, assert_refused: Any) -> None:
    gpt2 = {"transformer.wte.weight": torch.ones(8, 4), "transformer.h.0.ln_1.bias": torch.ones(4)}
    assert_refused(saved(tmp_path, gpt2), "holds another model than CodeGeeX-13B")
    assert_refused(options.EMBEDDED_FOLDER, "holds another model than CodeGeeX-13B")


def test_heads(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    source = single(tensors, tmp_path)
    assert_refused(source, "add --heads N", "--quantize", "int8")
    assert_refused(source, "3 attention heads can't share a hidden size of 32", "--heads", "3")
    assert_refused(source, "-2 attention heads can't", "--heads", "-2")
    assert_refused(source, "use one of none, int8, int4", "--quantize", "int3")


def test_missing_ranks(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    folder = ranks(tensors, tmp_path, 4)
    rank_file(folder, 3).unlink()
    assert_refused(folder, "has 3 of the 4 ranks of its checkpoint")
    rank_file(folder, 1).unlink()
    assert_refused(folder, "lacks mp_rank_01_model_states.pt")


def test_ranks_are_ordered_by_number(tensors: Tensors, tmp_path: Path) -> None:
    expected = converted(single(tensors, tmp_path), tmp_path / "expected")
    folder = ranks(tensors, tmp_path, 16)
    for index in range(16):
        rank_file(folder, index).rename(folder / f"mp_rank_{index}_model_states.pt")
    assert converted(folder, tmp_path / "made") == expected


def test_ranks_of_different_checkpoints(
    tensors: Tensors, tmp_path: Path, assert_refused: Any
) -> None:
    folder = ranks(tensors, tmp_path)

    def replace(change: Tensors) -> None:
        torch.save(nested(rank(tensors, 1, 2) | change), rank_file(folder, 1))

    replace({NORM: torch.zeros(32).half()})
    assert_refused(folder, "The ranks come from different checkpoints")
    replace({WORDS: torch.zeros(9, 31).half()})
    assert_refused(folder, f"The ranks' parts of {WORDS} don't fit together")
    torch.save(nested(without(rank(tensors, 1, 2), NORM)), rank_file(folder, 1))
    assert_refused(folder, f"don't both hold {NORM}")
    rank_file(folder, 1).write_bytes(b"")
    assert_refused(folder, "mp_rank_01_model_states.pt is cut off")


def test_a_rank_alone(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    assert_refused(rank_file(ranks(tensors, tmp_path), 0), "[32, 32]; floats [64, 32] are needed")


def test_bad_arrays(tensors: Tensors, tmp_path: Path, assert_refused: Any) -> None:
    folder = mindspore(tensors, tmp_path)
    file = folder / "backbone.blocks.1.attention.dense1.weight.npy"
    good = file.read_bytes()
    file.write_bytes(good[:-5])
    assert_refused(folder, f"{file} is cut off, damaged")
    file.write_bytes(b"")
    assert_refused(folder, f"{file} is cut off, damaged")
    np.save(file, np.array([Touches(tmp_path / "proof")], dtype=object), allow_pickle=True)
    assert_refused(folder, f"{file} is cut off, damaged, or no array of numbers")
    np.save(file, np.array(["text"]))
    assert_refused(folder, f"{file} is cut off, damaged, or no array of numbers")
    file.unlink()
    assert_refused(folder, f"lacks 1 tensors, {QUERY} among them")


def test_a_converted_folder_that_will_not_do(
    tensors: Tensors, tmp_path: Path, assert_refused: Any
) -> None:
    source = single(tensors, tmp_path)
    converted(source, tmp_path / "int8", "--quantize", "int8")
    assert_refused(tmp_path / "int8", "start from the float16 checkpoint")
    converted(source, tmp_path / "half")
    shard = tmp_path / "half" / ONE_SHARD
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert_refused(tmp_path / "half", "is damaged: its checksum")


# --- the target -------------------------------------------------------------------------------


def test_an_existing_target_stays_as_it_is(
    tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, made = single(tensors, tmp_path), tmp_path / "made"
    made.mkdir()
    assert run(source, made) == 2
    assert capsys.readouterr().err == f"{made} exists already; remove it or name another folder.\n"
    assert list(made.iterdir()) == []
    made.rmdir()
    made.symlink_to(tmp_path / "nowhere")
    assert run(source, made) == 2


def test_a_target_in_no_folder(
    tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "nowhere" / "made"
    assert run(single(tensors, tmp_path), made) == 2
    assert capsys.readouterr().err == f"There is no folder {made.parent} to make made in.\n"


def test_no_space(
    tensors: Tensors, tmp_path: Path, assert_refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = single(tensors, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(target.shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    assert_refused(source, "has 0.01 GB free; 0.01 GB are needed")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no file size limit")
def test_a_disk_that_fills_up_meanwhile(tensors: Tensors, tmp_path: Path) -> None:
    source = single(tensors, tmp_path)
    place = tmp_path / "place"
    place.mkdir()
    script = (
        "import resource, sys; from model_runtime.__main__ import main; "
        "import model_runtime.conversion.checkpoint; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); sys.exit(main())"
    )
    command = [sys.executable, "-c", script, "convert", source, place / "made", "--heads", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        f"{place / 'made'} can't be written: File too large.\n",
    )
    assert list(place.iterdir()) == []


def test_two_at_once(tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, made = single(tensors, tmp_path), tmp_path / "made"
    with target.new_folder(made, 0) as folder:
        assert run(source, made) == 2
        assert "Another conversion is writing" in capsys.readouterr().err
        assert folder.is_dir()
        folder.joinpath("file").touch()
    assert [path.name for path in made.iterdir()] == ["file"]


def test_an_interrupt_leaves_nothing(
    tensors: Tensors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(_progress: Progress, _size: int) -> None:
        raise KeyboardInterrupt

    source = single(tensors, tmp_path)
    monkeypatch.setattr(Progress, "wrote", interrupt)
    assert run(source, tmp_path / "made") == 1
    assert capsys.readouterr().err.endswith("Interrupted; nothing was written.\n")
    assert list(tmp_path.iterdir()) == [source]


# Kills itself at the n-th step of a conversion, for every n, and looks at what is left.
KILLER = """
import io, os, shutil, signal, sys
from pathlib import Path
import torch
from model_runtime.folders import opening
from model_runtime.conversion.checkpoint import convert
from model_runtime.conversion import (layout, target)
from model_runtime.errors import WeightsError

torch.set_num_threads(1)  # a fork has none of its parent's threads
source, place = map(Path, sys.argv[1:])
layout.SHARD_BYTES = 3_000

def run(made):
    convert(source, made, quantize="none", heads=2, messages=io.StringIO())

def loads(folder):
    try:
        opening.load(str(folder), torch.device("cpu"), torch.float32)
    except WeightsError:
        return False
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    return True

def die_at(step):
    left = step
    def counted(function):
        def wrapper(*arguments, **named):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)
        return wrapper
    os.fsync = counted(os.fsync)
    shutil.copyfile = counted(shutil.copyfile)
    for owner, name in ((target.HashedFile, "_append"), (Path, "rename"), (Path, "mkdir")):
        setattr(owner, name, counted(getattr(owner, name)))

made = place / "made"
run(made)
whole = {path.name: path.read_bytes() for path in made.iterdir()}
shutil.rmtree(made)
early = late = 0
for step in range(1, 1000):
    child = os.fork()
    if child == 0:
        die_at(step)
        run(made)
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    for folder in list(place.iterdir()):
        if folder.is_dir() and loads(folder):
            late += 1
        else:
            early += 1
    if not killed:
        break
    shutil.rmtree(made, ignore_errors=True)
assert [path.name for path in place.iterdir()] == ["made"], list(place.iterdir())
print(step, early, late)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")
def test_killed_at_any_step_nothing_half_written_loads(tmp_path: Path) -> None:
    network = CodeGeeX(CodeGeeXConfig(8, 1, 2, 260, 16)).half()
    source = single(dict(network.state_dict()), tmp_path)
    place = tmp_path / "place"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLER, source, place], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps, early, late = map(int, done.stdout.split())
    assert steps > 50
    assert early > steps
    assert late < 8  # config.json is written last: only then is there something that loads


@pytest.mark.parametrize("files", [1, 4, 7])
def test_killed_from_outside(tensors: Tensors, tmp_path: Path, files: int) -> None:
    """SIGKILL when so many files are written; running again puts it right."""
    made = tmp_path / "made"
    source = single(tensors, tmp_path)
    script = (
        "import sys; from model_runtime.conversion import layout; layout.SHARD_BYTES = 9000; "
        "from model_runtime.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", script, "convert", source, made, "--heads", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(files)]
        process.kill()
    assert f"{files} of " in lines[-1].decode()
    if made.exists():
        load_network(made)
        shutil.rmtree(made)
    converted(source, made)
    assert {path.name for path in tmp_path.iterdir()} == {"made", "model.pt"}


# --- progress ---------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "lines"), [(io.StringIO(), 3), (Terminal(), 1)])
def test_progress(
    tensors: Tensors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: io.StringIO,
    lines: int,
) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 50_000)
    convert(single(tensors, tmp_path), tmp_path / "made", quantize="none", heads=2, messages=stream)
    text = stream.getvalue()
    assert text.count("\n") == lines
    assert text.endswith("3 of 3 files\n")
    assert text.count("\r") == (0 if lines > 1 else len(tensors) + 3)


def test_the_description_names_each_file_as_it_is(tensors: Tensors, tmp_path: Path) -> None:
    made = tmp_path / "made"
    converted(single(tensors, tmp_path), made)
    files = json.loads((made / "config.json").read_text())["files"]
    assert files.keys() == {path.name for path in made.iterdir()} - {"config.json"}
    for name, fields in files.items():
        data = (made / name).read_bytes()
        assert fields == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["convert", "--help"])
    assert "--quantize" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["convert"])
