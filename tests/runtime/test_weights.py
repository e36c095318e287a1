"""Loading: the embedded model gives known tokens, and every kind of damage gets one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import blank_rows, load_network
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_runtime import options
from model_runtime.errors import UnknownModelError, WeightsError
from model_runtime.folders import opening
from model_runtime.folders.loaded import LoadedModel
from model_runtime.folders.native import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX
from model_runtime.prompts.rendering import PromptFormat, render
from model_runtime.wire.protocol import Generate

CPU = torch.device("cpu")
EXPORT = Path(__file__).resolve().parents[2] / "scripts/nano/export"

# What the embedded INT8 weights continue with, greedily; the float16 ones they come from do too.
CONTINUATIONS = [
    ("Python", "def add(a, b):\n    return ", "\n\n\nprint(add(1, 2))\n", "1\n\n\ndef add("),
    ("Java", "public int size() {\n    return ", "\n}\n", "0;\n  }\n\n  /**"),
    ("Go", "if err != nil {\n\treturn ", "\n}\n", "0, nil\n}\n\n// New"),
]


@pytest.fixture(scope="module")
def nano() -> LoadedModel:
    return opening.load("codegeex-nano", CPU, torch.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded model to damage."""
    return Path(shutil.copytree(options.EMBEDDED_FOLDER, tmp_path / "model"))


def greedy(network: Any, ids: list[int], count: int) -> list[int]:
    rows, chosen, fed, start = blank_rows(network.config), [], ids, 0
    with torch.inference_mode():
        for _ in range(count):
            logits = network(torch.tensor([fed]), rows, start)
            start += len(fed)
            fed = [int(logits.argmax())]
            chosen += fed
    return chosen


# --- the embedded model -----------------------------------------------------------------------


def test_what_the_embedded_model_is(nano: LoadedModel) -> None:
    assert nano.name == "codegeex-nano"
    assert nano.format is PromptFormat.NANO_FIM
    assert nano.trust is not None
    assert nano.config == CodeGeeXConfig(256, 4, 4, 8192, 512, 1e-5)
    assert nano.tokenizer.vocab_size == 8192
    assert isinstance(nano.network, OnnxCodeGeeX)


@pytest.mark.parametrize(("language", "prefix", "suffix", "expected"), CONTINUATIONS)
def test_the_embedded_model_continues_as_it_always_did(
    nano: LoadedModel, language: str, prefix: str, suffix: str, expected: str
) -> None:
    request = Generate(0, prefix, suffix, language=language)
    ids = render(nano.format, nano.tokenizer, request, budget=500).ids
    text = nano.tokenizer.decode(greedy(nano.network, ids, 8))
    assert text.startswith(expected)


def test_the_embedded_folder_is_small_and_complete() -> None:
    sizes = {path.name: path.stat().st_size for path in options.EMBEDDED_FOLDER.iterdir()}
    assert sizes.keys() == {CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE, "MODEL_CARD.md"}
    assert sum(sizes.values()) < 7_000_000


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    network = opening.load("codegeex-nano", CPU, dtype).network
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}


def test_the_seeds_own_check(nano_seed: Path) -> None:
    """The float16 weights give the numbers that training wrote down, top five and greedy."""
    shape = json.loads((nano_seed / CONFIG_FILE).read_text(encoding="utf-8"))
    config = CodeGeeXConfig(**{name: shape[name] for name in CodeGeeXConfig.__dataclass_fields__})
    network = CodeGeeX(config).eval()
    tensors = load_file(nano_seed / WEIGHTS_FILE)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    for case in json.loads((nano_seed / "check.json").read_text(encoding="utf-8")):
        top = last_logits(network, case["ids"]).topk(5)
        assert top.indices.tolist() == case["top5"]
        torch.testing.assert_close(top.values, torch.tensor(case["logits"]), atol=1e-3, rtol=0)
        assert greedy(network, case["ids"], len(case["greedy"])) == case["greedy"]


def test_quantizing_changes_the_logits_little(nano_seed: Path, tmp_path: Path) -> None:
    assert run_export(nano_seed, tmp_path / "model").returncode == 0
    nano = opening.load(str(tmp_path / "model"), CPU, torch.float32)
    for case in json.loads((nano_seed / "check.json").read_text(encoding="utf-8")):
        found = last_logits(nano.network, case["ids"])
        assert int(found.argmax()) == case["top5"][0]
        torch.testing.assert_close(
            found[case["top5"]], torch.tensor(case["logits"]), atol=0.3, rtol=0
        )


def last_logits(network: Any, ids: list[int]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(torch.tensor([ids]), blank_rows(network.config), 0)[0]
    return logits


# --- damage -----------------------------------------------------------------------------------


def assert_refused(folder: Path, sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence) as caught:
        opening.load(str(folder), CPU, torch.float32)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message


def rewrite_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / CONFIG_FILE
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


def accept_files(folder: Path) -> None:
    """Write the size and checksum that the files have now, as if they had been published so."""

    def describe(fields: dict[str, Any]) -> None:
        for name in (TOKENIZER_FILE, WEIGHTS_FILE):
            data = (folder / name).read_bytes()
            fields["files"][name] = {
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }

    rewrite_config(folder, describe)


def rewrite_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS_FILE)
    change(tensors)
    save_file(tensors, folder / WEIGHTS_FILE)
    accept_files(folder)


def test_a_copy_loads_by_its_path(folder: Path, nano: LoadedModel) -> None:
    copy = opening.load(str(folder), CPU, torch.float32).network
    assert torch.equal(last_logits(copy, [50, 60, 70]), last_logits(nano.network, [50, 60, 70]))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r'no model folder .*nowhere; .* "codegeex-nano"'):
        opening.load(str(tmp_path / "nowhere"), CPU, torch.float32)


@pytest.mark.parametrize("file", [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE])
def test_a_missing_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert_refused(folder, file)


@pytest.mark.parametrize("file", [TOKENIZER_FILE, WEIGHTS_FILE])
def test_a_truncated_file(folder: Path, file: str) -> None:
    path = folder / file
    size = path.stat().st_size
    with path.open("r+b") as opened:
        opened.truncate(size - 100)
    assert_refused(folder, f"{file} is damaged: it has {size - 100} of {size} bytes")


@pytest.mark.parametrize("file", [TOKENIZER_FILE, WEIGHTS_FILE])
def test_one_changed_byte(folder: Path, file: str) -> None:
    data = bytearray((folder / file).read_bytes())
    data[-10] ^= 1
    (folder / file).write_bytes(data)
    assert_refused(folder, f"{file} is damaged: its checksum")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'"text"', b"null"])
def test_a_config_that_is_none(folder: Path, content: bytes) -> None:
    (folder / CONFIG_FILE).write_bytes(content)
    assert_refused(folder, f"{CONFIG_FILE} can't be understood")


@pytest.mark.parametrize("key", ["name", "prompt_format", "network", "files"])
def test_a_config_without_an_entry(folder: Path, key: str) -> None:
    rewrite_config(folder, lambda fields: fields.pop(key))
    assert_refused(folder, f"{CONFIG_FILE} lacks the entry '{key}'")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 0),
        ("hidden_size", "wide"),
        ("num_attention_heads", 3),
        ("num_attention_heads", 0),
        ("max_position_embeddings", None),
    ],
)
def test_a_network_that_cannot_be(folder: Path, key: str, value: object) -> None:
    rewrite_config(folder, lambda fields: fields["network"].update({key: value}))
    assert_refused(folder, f"{CONFIG_FILE} can't be understood")


def test_an_unknown_prompt_format(folder: Path) -> None:
    rewrite_config(folder, lambda fields: fields.update(prompt_format="poem"))
    assert_refused(folder, "'poem' is not a valid PromptFormat")


def test_an_unknown_tokenizer(folder: Path) -> None:
    rewrite_config(folder, lambda fields: fields.update(tokenizer="codegeex-14b"))
    assert_refused(folder, "'codegeex-14b' is no tokenizer")


def test_a_tokenizer_whose_files_are_not_listed(folder: Path) -> None:
    rewrite_config(folder, lambda fields: fields.update(tokenizer="codegeex-13b"))
    assert_refused(folder, f"{CONFIG_FILE} lacks the entry 'vocab.json'")


def test_weights_outside_the_folder(folder: Path) -> None:
    rewrite_config(
        folder, lambda fields: fields["files"].update({"../model.safetensors": {"bytes": 1}})
    )
    assert_refused(folder, "a file lies outside the folder")


@pytest.mark.parametrize("files", [[], [1], ["model.safetensors"], 5, None, {"x": 1}])
def test_files_that_are_none(folder: Path, files: object) -> None:
    rewrite_config(folder, lambda fields: fields.update(files=files))
    assert_refused(folder, CONFIG_FILE)


def test_weights_that_are_no_safetensors(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes(b"\x80\x04 a pickle, say")
    accept_files(folder)
    assert_refused(folder, "is no safetensors file")


def test_a_missing_tensor(folder: Path) -> None:
    rewrite_tensors(folder, lambda tensors: tensors.pop("transformer.final_layernorm.bias"))
    assert_refused(folder, "lacks 1 tensors, transformer.final_layernorm.bias among them")


def test_a_missing_scale(folder: Path) -> None:
    name = "transformer.layers.0.attention.key.weight"
    rewrite_tensors(folder, lambda tensors: tensors.pop(f"{name}.scale"))
    assert_refused(folder, rf"{name} in .* is torch.int8 \[256, 256\]; floats \[256, 256\] are")


def test_a_tensor_too_many(folder: Path) -> None:
    rewrite_tensors(folder, lambda tensors: tensors.update(extra=torch.zeros(1)))
    assert_refused(folder, "has 1 tensors this network doesn't have, extra among them")


def test_a_tensor_of_another_shape(folder: Path) -> None:
    rewrite_config(folder, lambda fields: fields["network"].update(max_position_embeddings=1024))
    assert_refused(folder, r"is quantized \[512, 256\]; floats \[1024, 256\] are needed")


def test_a_scale_of_another_shape(folder: Path) -> None:
    name = "transformer.layers.0.attention.key.weight.scale"
    rewrite_tensors(folder, lambda tensors: tensors.update({name: torch.ones(3).half()}))
    assert_refused(folder, r"layers.0.attention.key.weight in .* and its scales don't match")


def test_a_network_smaller_than_the_tokenizer(folder: Path) -> None:
    rewrite_config(folder, lambda fields: fields["network"].update(vocab_size=8000))
    assert_refused(folder, "has 8192 tokens and the network only 8000")


def test_a_tokenizer_of_another_format(folder: Path) -> None:
    path = folder / TOKENIZER_FILE
    path.write_text(path.read_text(encoding="utf-8").replace("fim_suffix", "sim_fuffix"))
    accept_files(folder)
    assert_refused(folder, r'lacks <\|fim_suffix\|>, which the prompt format "nano-fim" needs')


def test_a_tokenizer_that_is_none(folder: Path) -> None:
    (folder / TOKENIZER_FILE).write_text("[]")
    accept_files(folder)
    assert_refused(folder, f"{TOKENIZER_FILE} can't be understood: it is no JSON object")


# --- scripts/nano/export ----------------------------------------------------------------------


def run_export(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXPORT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_export_of_the_starting_weights_loads(nano_seed: Path, tmp_path: Path) -> None:
    result = run_export(nano_seed, tmp_path / "model")
    assert (result.returncode, result.stderr) == (0, "")
    network = load_network(tmp_path / "model")
    exact = load_file(nano_seed / WEIGHTS_FILE)
    for name, tensor in network.state_dict().items():
        step = exact[name].float().abs().max() / 127
        assert (tensor - exact[name].float()).abs().max() <= step


def test_export_refuses_what_is_no_seed(tmp_path: Path, folder: Path) -> None:
    for seed in (tmp_path / "nowhere", folder):
        result = run_export(seed, tmp_path / "out")
        assert result.returncode == 2
        assert result.stderr.startswith(f"export: {seed} ")
        assert result.stderr.count("\n") == 1
    assert run_export().returncode == 2
