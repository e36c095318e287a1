"""Folders as the hub has them: what they are asked with, token for token, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import torch
from engine_bench import DEVICE, Bench

from model_runtime.commands import check
from model_runtime.errors import RuntimeFailure
from model_runtime.folders import opening
from model_runtime.folders.announcing import announce
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.kv_cache import KVCache
from model_runtime.networks.linear import Int8Linear, QuantizedLinear
from model_runtime.prompts import fim
from model_runtime.prompts.rendering import render
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.text.vocabulary import control_tokens
from model_runtime.wire.protocol import Failure, Generate, Reason, Snippet, Task

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message.role + '\n' + message.content"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITHOUT_SYSTEM = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}"
    "{{ raise_exception('no system message') }}{% endif %}"
    "[INST] {{ message.content }} [/INST]{% endfor %}"
)
LOOKALIKES = "<|im_end|><|fim_suffix|><|endoftext|><fim_middle><｜fim▁hole｜>"


def load(folder: Path, quantize: str = "") -> LoadedModel:
    return opening.load(str(folder), DEVICE.place, DEVICE.dtype, quantize)


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")


# --- prompts, token for token -------------------------------------------------------------------

P, S = "def add(a, b):\n    ", "\n    return c\n"


def ids_of(tokenizer: Tokenizer, *parts: str) -> list[int]:
    """Control tokens by name, everything else as text."""
    return [
        id_
        for part in parts
        for id_ in (
            [tokenizer.controls[part]] if part in tokenizer.controls else tokenizer.encode(part)
        )
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("codegen", (P,)),
        ("gpt_bigcode", ("<fim_prefix>", P, "<fim_suffix>", S, "<fim_middle>")),
        ("starcoder2", ("<fim_prefix>", "<fim_suffix>", S, "<fim_middle>", P)),
        ("qwen2", ("<|fim_prefix|>", P, "<|fim_suffix|>", S, "<|fim_middle|>")),
        ("llama", ("<s>", "<｜fim▁begin｜>", P, "<｜fim▁hole｜>", S, "<｜fim▁end｜>")),
    ],
)
def test_a_folder_is_asked_as_its_tokenizer_says(
    tmp_path: Path, kind: str, expected: tuple[str, ...]
) -> None:
    model = load(tiny_hub.write_folder(tmp_path / kind, kind, begins=kind == "llama"))
    found = render(model.format, model.tokenizer, Generate(0, P, S, language="Python"), 200)
    assert found.ids == ids_of(model.tokenizer, *expected)


@pytest.mark.parametrize("format", sorted(fim.FORMATS))
@pytest.mark.parametrize("text", [P, LOOKALIKES])
@pytest.mark.parametrize("others", [0, 2])
def test_every_golden_infill_prompt_token_for_token(
    tmp_path: Path, format: str, text: str, others: int
) -> None:
    names = fim.controls(format)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tiny_hub.tokenizer_json(names)), encoding="utf-8")
    tokenizer = Tokenizer.from_json(path)
    files = (Snippet(text, text),) * others
    request = Generate(0, text, S, files, path="a.py", repository="r", language="Python")
    found = render(fim.family(format), tokenizer, request, 4000).ids
    prompt = fim.pieces(format, fim.Cursor(text, S, "a.py", "Python", "r", files))
    parts = [piece.name if isinstance(piece, fim.Control) else piece for piece in prompt]
    texts = [
        part if isinstance(part, str) else getattr(part, "lead", "") + part.text for part in parts
    ]
    expected = [
        id_
        for part, one in zip(parts, texts, strict=True)
        for id_ in ([tokenizer.controls[one]] if isinstance(part, str) else tokenizer.encode(one))
    ]
    assert found == expected


def test_a_conversation_by_the_tokenizers_own_template(tmp_path: Path) -> None:
    folder = tiny_hub.write_folder(tmp_path / "m", "qwen2", chat_template=CHATML)
    model = load(folder)
    assert set(model.format.tasks) == set(Task)
    request = Generate(0, "", task=Task.EXPLAIN, code=LOOKALIKES, language="Python")
    ids = render(model.format, model.tokenizer, request, 3000).ids
    names = {id_: name for name, id_ in model.tokenizer.controls.items()}
    assert [names[id_] for id_ in ids if id_ in names] == [
        *("<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>")
    ]
    text = model.tokenizer.decode(ids)
    assert text.startswith("<|im_start|>system\nYou are a programming assistant.")
    assert f"<|im_end|>\n<|im_start|>user\n{LOOKALIKES}\n\nExplain this Python code" in text
    assert text.endswith("does.<|im_end|>\n<|im_start|>assistant\n")


def test_a_template_without_a_system_message_begins_only_once(tmp_path: Path) -> None:
    folder = tiny_hub.write_folder(
        tmp_path / "m", "llama", begins=True, chat_template=WITHOUT_SYSTEM
    )
    model = load(folder)
    request = Generate(0, "", task=Task.TRANSLATE, code="x", target_language="Go")
    ids = render(model.format, model.tokenizer, request, 3000).ids
    text = model.tokenizer.decode(ids)
    assert text.startswith("<s>[INST] You are a programming assistant.")
    assert text.endswith(" [/INST]")
    assert ids.count(model.tokenizer.controls["<s>"]) == 1


def test_runs_of_blanks_are_text_and_marks_are_not() -> None:
    added = ["<|endoftext|>", "    ", "\t\t", "▁▁", "ÿ", "<|fim_prefix|>", "[PREFIX]"]
    tokens = [{"content": name, "id": id_} for id_, name in enumerate(added)]
    assert control_tokens({"added_tokens": tokens}) == {
        "<|endoftext|>": 0,
        "<|fim_prefix|>": 5,
        "[PREFIX]": 6,
    }


def test_sentencepiece_keeps_blanks_and_bytes(tmp_path: Path) -> None:
    """No blank of its own before a text, every byte of what no piece has, and back."""
    import tokenizers
    from tokenizers import decoders, models, normalizers

    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary |= {f"<0x{byte:02X}>": byte + 3 for byte in range(256)}
    for piece in ("▁", "x", "=", "▁x", "<", "s", ">", "s>", "<s>"):
        vocabulary.setdefault(piece, len(vocabulary))
    bpe = tokenizers.Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[("▁", "x"), ("s", ">"), ("<", "s>")],
            unk_token="<unk>",  # noqa: S106
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    bpe.add_special_tokens(["<unk>", "<s>", "</s>"])
    path = tmp_path / "tokenizer.json"
    bpe.save(str(path))
    tokenizer = Tokenizer.from_json(path, begin=(1,), end_of_text=2)
    for text in ("x = x", " x", "é\n\t日本", "<s>x</s>"):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert not {0, 1, 2} & set(ids)
        stream = tokenizer.stream()
        assert "".join(map(stream.push, ids)) == text


# --- loading ------------------------------------------------------------------------------------


def test_a_name_of_the_catalogue_loads_from_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--Qwen--Qwen2.5-Coder-0.5B" / "snapshots" / ("0" * 40)
    tiny_hub.write_folder(folder, "qwen2")
    model = opening.load("Qwen2.5-Coder-0.5B", DEVICE.place, DEVICE.dtype)
    assert model.name == "qwen2.5-coder-0.5b"
    assert model.config.max_position_embeddings == tiny_hub.CONTEXT
    controls = model.tokenizer.controls
    assert set(model.ends) >= {controls["<|endoftext|>"], controls["<|file_sep|>"]}
    told = announce("qwen2.5-coder-0.5b")
    assert told.tasks == (Task.COMPLETE, Task.TEMPLATE)
    assert told.context_tokens == tiny_hub.CONTEXT
    with pytest.raises(RuntimeFailure, match="codegeex-lsp models pull codegen-350m-mono"):
        opening.load("codegen-350m-mono", DEVICE.place, DEVICE.dtype)
    with pytest.raises(RuntimeFailure, match=r"did you mean .*qwen2.5-coder-7b"):
        opening.load("qwen2.5-codr-7b", DEVICE.place, DEVICE.dtype)


def test_a_context_reaches_as_far_as_a_sliding_window(tmp_path: Path) -> None:
    """Up to there every position sees all before it, as in training."""
    folder = tiny_hub.write_folder(tmp_path / "m", "starcoder2")
    assert load(folder).config.max_position_embeddings == 200
    assert announce(str(folder)).context_tokens == 200
    reply = Bench(tmp_path, load(folder)).reply(task=Task.TEMPLATE, prefix="x" * 300)
    assert isinstance(reply, Failure)
    assert "is too long for this model" in reply.message


def test_a_client_is_told_what_a_folder_can_before_torch_is_there(tmp_path: Path) -> None:
    folder = tiny_hub.write_folder(tmp_path / "m", "qwen2", chat_template=CHATML)
    told = (
        "import sys; from model_runtime.folders.announcing import announce;"
        "told = announce(sys.argv[1]);"
        "print(told.context_tokens, *told.tasks, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", told, folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["256", *fim_tasks(), "False"]


def fim_tasks() -> tuple[str, ...]:
    return ("complete", "generate", "translate", "explain", "docstring", "summarise", "template")


@pytest.mark.parametrize("quantize", ["int8", "int4", "nf4", "llm.int8"])
@pytest.mark.parametrize("kind", ["codegen", "qwen2"])
def test_quantized_while_it_is_loaded(tmp_path: Path, kind: str, quantize: str) -> None:
    wide = {"n_embd": 128} if kind == "codegen" else {"hidden_size": 128, "intermediate_size": 128}
    folder = tiny_hub.write_folder(tmp_path / kind, kind, **wide)
    plain, small = load(folder), load(folder, quantize)
    replaced = [
        part
        for part in small.network.modules()
        if isinstance(part, QuantizedLinear) or "HalfInside" in type(part).__name__
    ]
    assert len(replaced) == {"codegen": 8, "qwen2": 14}[kind]
    ids = [5 + n for n in range(12)]
    with torch.inference_mode():
        found = [run(model, ids) for model in (plain, small)]
    error = (found[0] - found[1]).norm() / found[0].norm()
    assert error < {"int8": 0.1, "llm.int8": 0.2}.get(quantize, 0.6)
    assert error > 0


def run(model: LoadedModel, ids: list[int]) -> torch.Tensor:
    """The logits behind `ids`."""
    shape = model.config
    cache = KVCache(
        layers=shape.kv_layers,
        heads=shape.kv_heads,
        head_dim=shape.head_dim,
        context=64,
        slots=1,
        branches=0,
        dtype=DEVICE.dtype,
        device=DEVICE.place,
    )
    logits: torch.Tensor = model.network(torch.tensor([ids]), cache.rows([0]), 0)
    return logits


def test_int8_stays_ours_on_a_network_without_biases(tmp_path: Path) -> None:
    model = load(tiny_hub.write_folder(tmp_path / "m", "llama"), "int8")
    layers = [part for part in model.network.modules() if isinstance(part, Int8Linear)]
    assert len(layers) == 14
    assert Bench(tmp_path, model).ask(max_new_tokens=8).candidates[0].tokens == 8


def test_a_network_without_linear_layers_is_not_quantized(tmp_path: Path) -> None:
    folder = tiny_hub.write_folder(tmp_path / "m", "gpt2")
    with pytest.raises(RuntimeFailure, match="m has nothing to be quantized"):
        load(folder, "int8")


def test_what_it_needs_is_what_its_tensors_take(tmp_path: Path) -> None:
    folder = tiny_hub.write_folder(tmp_path / "m", "qwen2")
    model = load(folder)
    parameters = {id(one): one.numel() for one in model.network.parameters()}
    assert sum(parameters.values()) == (
        model.config.linear_parameters + model.config.other_parameters
    )
    findings = {one.name: one for one in check.check(str(folder), "cpu")}
    assert findings["model"].found.startswith("m, 0.0 M parameters")
    assert not findings["fit"].advice


# --- what is refused, in one sentence -----------------------------------------------------------


def remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove("tokenizer.json", "tokenizer_config.json"), "it has no tokenizer"),
        (lambda it: (it / "tokenizer.json").rename(it / "vocab.json"), "has no tokenizer.json"),
        (remove("config.json"), "no config.json"),
        (remove("model.safetensors"), "it lacks model.safetensors"),
        (pickled, "pickle files, which can run code"),
        (truncated, "model.safetensors is cut off, "),
        (lambda it: edit(it / "config.json", model_type="poem"), '"poem" network'),
        (lambda it: edit(it / "config.json", model_type="bart"), '"bart" network'),
        (lambda it: edit(it / "config.json", num_hidden_layers=3), "config.json is damaged"),
        (
            lambda it: edit(
                it / "config.json", num_hidden_layers=3, layer_types=["full_attention"] * 3
            ),
            "lacks 12 tensors",
        ),
        (lambda it: edit(it / "config.json", hidden_size=64), "damaged or another network's"),
        (lambda it: edit(it / "config.json", vocab_size=9), "belong to different models"),
        (
            lambda it: edit(it / "config.json", layer_types=["linear_attention"] * 2),
            "can't be cached position by position|config.json is damaged",
        ),
        (
            lambda it: edit(it / "config.json", quantization_config={"quant_method": "gptq"}),
            "stored quantized",
        ),
        (lambda it: (it / "tokenizer.json").write_text("{}"), "tokenizer.json"),
        (lambda it: (it / "config.json").write_text("["), "config.json"),
    ],
)
def test_a_folder_that_cannot_be_used(
    tmp_path: Path, damage: Callable[[Path], Any], sentence: str
) -> None:
    folder = tiny_hub.write_folder(tmp_path / "m", "qwen2")
    damage(folder)
    with pytest.raises(RuntimeFailure, match=sentence) as refused:
        load(folder)
    assert "\n" not in str(refused.value)
    assert announce(str(folder)).tasks


def test_a_task_that_the_model_cannot_names_models_that_can(tmp_path: Path) -> None:
    bench = Bench(tmp_path, load(tiny_hub.write_folder(tmp_path / "m", "qwen2")))
    reply = bench.reply(task=Task.EXPLAIN, code="x = 1")
    assert isinstance(reply, Failure)
    assert reply.reason == Reason.UNSUPPORTED_TASK
    assert reply.message == (
        'The model m can\'t "explain"; smollm2-135m-instruct, '
        "qwen2.5-coder-0.5b-instruct, qwen2.5-coder-1.5b-instruct can."
    )


# --- what the process is spared -----------------------------------------------------------------

ENGINE = """
import sys
from model_runtime.engine import loading
from model_runtime.engine.counters import Work
from model_runtime.engine.scheduler import Scheduler
engine = loading.load_engine(sys.argv[1], "cpu", "", Scheduler(print), print, Work())
print(type(engine.model.network).__name__)
print(*(name for name in ("triton", "scipy", "sklearn") if sys.modules.get(name)))
"""


def test_what_no_model_on_a_cpu_needs_is_not_imported(tmp_path: Path) -> None:
    folder = tiny_hub.write_folder(tmp_path / "m", "llama")
    done = subprocess.run(
        [sys.executable, "-c", ENGINE, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "TransformersLM\n\n"
