"""GGUF files become model folders that say what their networks say."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_gguf
import torch
from gguf import GGMLQuantizationType as Kind
from tokenizers import Tokenizer

from model_runtime.conversion import gguf
from model_runtime.errors import ConversionError
from model_runtime.folders import opening
from model_runtime.networks.kv_cache import KVCache

CPU = torch.device("cpu")


def converted(source: Path, folder: Path) -> Path:
    gguf.convert(source, folder, io.StringIO())
    return folder


def logits_of(folder: Path, ids: torch.Tensor, quantize: str) -> torch.Tensor:
    loaded = opening.load(str(folder), CPU, torch.float32, quantize)
    shape = loaded.config
    cache = KVCache(
        layers=shape.kv_layers,
        heads=shape.kv_heads,
        head_dim=shape.head_dim,
        context=shape.max_position_embeddings,
        slots=1,
        branches=0,
        dtype=torch.float32,
        device=CPU,
    )
    slot = cache.acquire(ids[0].tolist())
    assert slot is not None
    return loaded.network(ids, slot.rows, 0, all_positions=True)


def as_float16(lm: Any) -> Any:
    for parameter in lm.parameters():
        parameter.copy_(parameter.half().float())
    return lm


@pytest.mark.parametrize("architecture", tiny_gguf.KINDS)
@torch.inference_mode()
def test_a_converted_network_gives_the_logits_of_its_own(architecture: str, tmp_path: Path) -> None:
    lm = as_float16(tiny_gguf.network(architecture))
    source = tiny_gguf.write(tmp_path / "m.gguf", architecture, lm)
    ids = torch.arange(3, 40).unsqueeze(0)
    found = logits_of(converted(source, tmp_path / "made"), ids, "")
    assert torch.allclose(found, lm(ids).logits, atol=1e-3)


@pytest.mark.parametrize("kind", [Kind.F32, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0])
@torch.inference_mode()
def test_every_kind_of_number_is_read(kind: Kind, tmp_path: Path) -> None:
    """By how far the logits are off: about as far as a number of so many bits."""
    lm = as_float16(tiny_gguf.network("llama"))
    folder = converted(tiny_gguf.write(tmp_path / "m.gguf", "llama", lm, kind), tmp_path / "made")
    ids = torch.arange(3, 40).unsqueeze(0)
    expected = lm(ids).logits
    off = (logits_of(folder, ids, "") - expected).norm() / expected.norm()
    bits = {Kind.F32: 16, Kind.BF16: 8}.get(kind) or int(kind.name[1])
    assert off < 5 * 2.0**-bits


def test_what_had_few_bits_is_kept_in_int8(tmp_path: Path) -> None:
    lm = tiny_gguf.network("llama")
    for kind, kept in ((Kind.Q4_0, "int8"), (Kind.Q8_0, "int8"), (Kind.F16, "float16")):
        source = tiny_gguf.write(tmp_path / f"{kind.name}.gguf", "llama", lm, kind)
        folder = converted(source, tmp_path / kind.name)
        assert opening.plan(str(folder), CPU, torch.float32).kept == kept


@torch.inference_mode()
def test_llama_3_says_its_rotary_scaling_by_a_tensor(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    lm = as_float16(tiny_gguf.network("llama", rope_parameters=scaling))
    factors = np.ones(8, dtype=np.float32)
    factors[-1] = 8.0
    source = tiny_gguf.write(
        tmp_path / "m.gguf", "llama", lm, tensors={"rope_freqs.weight": factors}
    )
    ids = torch.arange(3, 40).unsqueeze(0)
    found = logits_of(converted(source, tmp_path / "made"), ids, "")
    assert torch.allclose(found, lm(ids).logits, atol=1e-3)


def test_a_tokenizer_keeps_text_and_names_its_control_tokens(tmp_path: Path) -> None:
    lm = tiny_gguf.network("qwen2")
    folder = converted(tiny_gguf.write(tmp_path / "m.gguf", "qwen2", lm), tmp_path / "made")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "ab x = 'naïve'\r\n\t日本 12"
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert tokenizer.encode("ab a<|im_end|>12").tokens == ["ab", "Ġa", "<|im_end|>", "1", "2"]
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert config.items() >= {"eos_token": "<|im_end|>", "add_bos_token": False}.items()
    assert (folder / "chat_template.jinja").read_text() == tiny_gguf.TEMPLATE


def test_sentencepiece_merges_by_score_and_falls_back_to_bytes(tmp_path: Path) -> None:
    bytes_ = [f"<0x{n:02X}>" for n in range(256)]
    words = ["▁", "a", "b", "c", "ab", "bc", "▁ab"]
    tokens = ["<unk>", "<s>", "</s>", *bytes_, *words]
    tokens += [f"<unused{n}>" for n in range(320 - len(tokens))]
    scores = [0.0] * (3 + 256) + [-5.0, -5.0, -5.0, -5.0, -2.0, -1.0, -3.0]
    told = {
        "ggml.model": "llama",
        "ggml.pre": None,
        "ggml.merges": None,
        "ggml.tokens": tokens,
        "ggml.scores": scores + [-9.0] * (320 - len(scores)),
        "ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (320 - 259),
        "ggml.unknown_token_id": 0,
        "ggml.add_bos_token": True,
    }
    lm = tiny_gguf.network("llama")
    source = tiny_gguf.write(tmp_path / "m.gguf", "llama", lm, tokenizer=told)
    folder = converted(source, tmp_path / "made")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # "bc" has the better score, so "abc" isn't "ab" and "c".
    assert tokenizer.encode("ab abc").tokens == ["▁ab", "▁", "a", "bc"]
    assert tokenizer.encode("é").tokens == ["▁", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(tokenizer.encode("ab éc").ids) == "ab éc"


def test_pieces_of_a_split_file_are_one_model(tmp_path: Path) -> None:
    lm = tiny_gguf.network("llama")
    whole = tiny_gguf.write(tmp_path / "m.gguf", "llama", lm)
    moved = "blk.1.ffn_up.weight"
    first = tmp_path / "s-00001-of-00002.gguf"
    tiny_gguf.write(first, "llama", lm, left_out=[moved])
    with pytest.raises(ConversionError, match=r"s-00002-of-00002\.gguf is missing"):
        converted(first, tmp_path / "early")
    others = [it for it in names_in(whole) if it != moved]
    tiny_gguf.write(tmp_path / "s-00002-of-00002.gguf", "llama", lm, left_out=others)
    one, two = converted(whole, tmp_path / "one"), converted(first, tmp_path / "two")
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


def names_in(path: Path) -> list[str]:
    from model_runtime.conversion.gguf_file import GgufFile

    return list(GgufFile(path).tensors)


def broken(tmp_path: Path, fault: str) -> Path:
    lm, path = tiny_gguf.network("llama"), tmp_path / "m.gguf"
    match fault:
        case "tokenizer":
            return tiny_gguf.write(path, "llama", lm, tokenizer={"ggml.model": "rwkv"})
        case "no tokenizer":
            return tiny_gguf.write(path, "llama", lm, tokenizer={"ggml.tokens": None})
        case "merges":
            return tiny_gguf.write(path, "llama", lm, tokenizer={"ggml.merges": ["zz qq"]})
        case "no merges":
            return tiny_gguf.write(path, "llama", lm, tokenizer={"ggml.merges": None})
        case "words":
            return tiny_gguf.write(path, "llama", lm, tokenizer={"ggml.pre": "klingon"})
        case "tensor":
            return tiny_gguf.write(path, "llama", lm, left_out=["blk.1.attn_v.weight"])
        case "large":
            lm.model.norm.weight[0] = 1e9
            return tiny_gguf.write(path, "llama", lm)
    tiny_gguf.write(path, "llama", lm)
    content = path.read_bytes()
    match fault:
        case "foreign":
            path.write_bytes(b"PK\3\4" + content[4:])
        case "truncated":
            path.write_bytes(content[:-4000])
        case "cut early":
            path.write_bytes(content[:200])
        case "empty":
            path.write_bytes(b"")
        case "version":
            path.write_bytes(content[:4] + struct.pack("<I", 77) + content[8:])
        case "architecture":
            path.write_bytes(content.replace(b"llama", b"mamba"))
    return path


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("foreign", "is no GGUF file"),
        ("empty", "is no GGUF file"),
        ("truncated", "ends in the middle|damaged or ends too soon"),
        ("cut early", "damaged or ends too soon"),
        ("version", "damaged or ends too soon"),
        ("architecture", 'holds a "mamba" network; llama, qwen2'),
        ("tokenizer", 'of the kind "rwkv"'),
        ("no tokenizer", "has no tokenizer"),
        ("no merges", "without merges"),
        ("merges", "tokenizer of .* is damaged"),
        ("words", 'cuts words as "klingon" does'),
        ("tensor", "lacks model.layers.1.self_attn.v_proj.weight"),
        ("large", "output_norm.weight in .* has numbers that float16 can't hold"),
    ],
)
def test_what_can_not_be_used_is_a_sentence(fault: str, sentence: str, tmp_path: Path) -> None:
    source = broken(tmp_path, fault)
    with pytest.raises(ConversionError, match=sentence) as caught:
        converted(source, tmp_path / "made")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"m.gguf"}
