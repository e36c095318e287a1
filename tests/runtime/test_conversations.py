"""Conversations by a tokenizer's own chat template, beside what transformers makes of the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import transformers

from model_runtime.folders.hub_folder import HubFolder
from model_runtime.prompts import chat
from model_runtime.prompts.rendering import render
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate, Task

# Each is written here, in the manner of its publisher's: where it begins, how it marks turns, and
# what it does with a system message.
CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set rest = messages[1:] %}{% set told = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set told = false %}{% endif %}"
    "{% for message in rest %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant take turns') }}{% endif %}"
    "{% if loop.first and told %}"
    "{% set said = '<<SYS>>\n' + told + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set said = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + said.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + said.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% for message in messages %}"
    "{% set turn = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set turn = bos_token + turn %}{% endif %}{{ turn }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim"
    " + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PLAIN_BOS = (  # it leaves the system message out without a word
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{% generation %}{{ 'Assistant: ' + message['content'] + eos_token }}{% endgeneration %}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
STARCHAT = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|system|>\n<|end|>\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
GLM4 = (
    "[gMASK]<sop>{% for item in messages %}"
    "<|{{ item['role'] }}|>\n{{ item['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


PHI = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n'"
    " + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
MISTRAL = (  # the system message stands in the last of the user's turns
    "{% if messages[0]['role'] == 'system' %}{% set told = messages[0]['content'] %}"
    "{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}"
    "{{ bos_token }}{% for message in rest %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' }}{% if loop.last and told is defined %}{{ told + '\n\n' }}{% endif %}"
    "{{ message['content'] + '[/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}"
    "{% endif %}{% endfor %}"
)
DEEPSEEK = (  # a system message of its own when there is none
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n' }}"
    "{% else %}{{ '### Response:\n' + message['content'] + '\n<|EOT|>\n' }}{% endif %}"
    "{% endfor %}{{ '### Response:' }}"
)


@dataclass(frozen=True)
class Tuned:
    """A template, the control tokens of its tokenizer, and what that adds by itself."""

    template: Any
    controls: tuple[str, ...]
    bos: Any = tiny_hub.BEGIN
    begins: bool = False
    system: bool = True
    rstrip: bool = False


TUNED = {
    "its first mark is its bos": Tuned(CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_start|>"),
    "no bos": Tuned(CHATML, ("<|im_start|>", "<|im_end|>"), None),
    "llama 2": Tuned(LLAMA2, (), begins=True),
    "llama 3": Tuned(
        LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), begins=True
    ),
    "gemma": Tuned(GEMMA, ("<start_of_turn>", "<end_of_turn>"), begins=True, system=False),
    "its bos is the template's alone": Tuned(
        GEMMA, ("<start_of_turn>", "<end_of_turn>"), system=False
    ),
    "its bos is the tokenizer's alone": Tuned(CHATML, ("<|im_start|>", "<|im_end|>"), begins=True),
    "a bos with flags": Tuned(
        LLAMA3,
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        {"__type": "AddedToken", "content": tiny_hub.BEGIN, "lstrip": False, "rstrip": False},
        begins=True,
    ),
    "starchat": Tuned(STARCHAT, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"), None),
    "glm 4": Tuned(GLM4, ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"), None),
    "phi": Tuned(
        PHI, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"), begins=True, rstrip=True
    ),
    "mistral": Tuned(MISTRAL, ("[INST]", "[/INST]"), begins=True),
    "deepseek": Tuned(DEEPSEEK, ("<|EOT|>",), begins=True),
    "it drops the system message": Tuned(PLAIN_BOS, (), begins=True, system=False),
}


def sentencepiece(**changed: Any) -> dict[str, Any]:
    return {
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": None,
        "decoder": {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        **changed,
    }


def metaspace(scheme: str) -> dict[str, Any]:
    splitter = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}
    return sentencepiece(normalizer=None, pre_tokenizer=splitter)


PREPEND = {"type": "Prepend", "prepend": "▁"}
# How a tokenizer splits a text, and which blanks it adds.
KINDS = {
    "bytes": {},
    "bytes behind a blank": {
        "pre_tokenizer": {
            **{"type": "ByteLevel", "add_prefix_space": True},
            **{"trim_offsets": True, "use_regex": True},
        }
    },
    "sentencepiece": sentencepiece(
        normalizer={"type": "Sequence", "normalizers": [PREPEND, sentencepiece()["normalizer"]]}
    ),
    "metaspace": metaspace("always"),
    "metaspace at first": metaspace("first"),
    "metaspace never": metaspace("never"),
}
# Blanks and newlines that merge with those of the template.
CODES = ("x = 1", "  x = 1", "\n\nx = 1\n\n")


def folder_of(path: Path, tuned: Tuned, kind: str = "bytes") -> HubFolder:
    """The folder of such a model; without weights, since nothing is run."""
    path.mkdir()
    config = {"model_type": "llama", "eos_token_id": 0}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    description = tiny_hub.tokenizer_json(tuned.controls) | KINDS[kind]
    for token in description["added_tokens"]:
        token["rstrip"] = tuned.rstrip
    vocabulary = description["model"]["vocab"]
    merges = [("Ċ", "Ċ"), ("Ġ", "Ġ"), ("ĊĊ", "Ċ"), ("Ġ", "x"), ("Ċ", "E")]
    if not kind.startswith("bytes"):
        names = sorted(chr(code) for code in range(32, 127))
        vocabulary = {name: id_ for name, id_ in vocabulary.items() if len(name) > 1}
        for name in ("▁", "\n", *names):
            vocabulary.setdefault(name, len(vocabulary))
        merges = [("\n", "\n"), ("▁", "▁"), ("\n\n", "\n"), ("▁", "x"), ("\n", "E")]
    for pair in merges:
        vocabulary["".join(pair)] = len(vocabulary)
    description["model"] |= {"vocab": vocabulary, "merges": [" ".join(pair) for pair in merges]}
    (path / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tuned.bos,
        "eos_token": tiny_hub.END,
        "add_bos_token": tuned.begins,
        "chat_template": tuned.template,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return HubFolder(path, None, config)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TUNED)
def test_a_conversation_is_what_transformers_makes_of_it(
    tmp_path: Path, name: str, kind: str
) -> None:
    tuned = TUNED[name]
    folder = folder_of(tmp_path / "m", tuned, kind)
    tokenizer = Tokenizer.from_json(folder.path / "tokenizer.json", folder.begin, 0)
    theirs = transformers.AutoTokenizer.from_pretrained(folder.path)
    for code in CODES[:1] if tuned.rstrip else CODES:
        request = Generate(0, "", task=Task.EXPLAIN, code=code, language="Python")
        (asked,) = chat.explain(request)

        def told(words: str) -> str:
            said = words if tuned.system else f"{chat.SYSTEM}\n\n{words}"
            messages = [{"role": "system", "content": chat.SYSTEM}] * tuned.system
            messages += [{"role": "user", "content": said}]
            text: str = theirs.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False
            )
            return text

        # Some templates strip the blanks around the user's words; ours keep them.
        text = told("THE WORDS").replace("THE WORDS", asked.text)
        assert text == told(asked.text) or code != CODES[0]
        found = render(folder.family, tokenizer, request, 3000).ids
        assert found == theirs(text, add_special_tokens=False)["input_ids"]


# --- templates that are no good ------------------------------------------------------------------

FOR_EVER = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (FOR_EVER, "it takes too much time or memory"),
        ("{{ 3 ** (9 ** 9) }}", "it takes too much time or memory"),
        ("{{ 'a' * 10 ** 11 }}", "it fails with MemoryError"),
        ("{{ 'a' * 200000 }}", "it writes more than 100000 characters"),
        ("{{ 1 // 0 }}", "it fails with ZeroDivisionError"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "it fails with RecursionError"),
        ("{% for %}", "it fails with TemplateSyntaxError"),
        ("{{ raise_exception('no') }}", "it fails with TemplateError"),
        ("{{ messages.__class__.__mro__ }}", "it fails with SecurityError"),
        ("{{ messages[0]['content'][0]['text'] }}", "it leaves out what is said"),
        ("a conversation about nothing", "it leaves out what is said"),
        ("{% include 'passwd' %}", "it fails with TypeError"),
    ],
)
def test_a_template_that_is_no_good_leaves_a_model_that_completes(
    tmp_path: Path, template: str, reason: str
) -> None:
    folder = folder_of(tmp_path / "m", Tuned(template, ()))
    assert set(folder.family.tasks) == {Task.COMPLETE, Task.GENERATE, Task.TEMPLATE}
    assert folder.family.spoiled == (
        f"The model's chat template can't be used: {reason}. "
        "m completes code and can't be asked in words."
    )


@pytest.mark.parametrize(
    "several",
    [
        [{"name": "tools", "template": "no"}, {"name": "default", "template": CHATML}],
        [{"name": "chat", "template": CHATML}, {"name": "tools", "template": "no"}],
    ],
)
def test_of_several_templates_it_is_the_default(tmp_path: Path, several: Any) -> None:
    tuned = Tuned(several, ("<|im_start|>", "<|im_end|>"))
    assert folder_of(tmp_path / "m", tuned).chat_template == CHATML


def test_a_template_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", Tuned("no", ("<|im_start|>", "<|im_end|>")))
    (folder.path / "chat_template.jinja").write_text(CHATML, encoding="utf-8-sig")
    assert Task.EXPLAIN in folder.family.tasks
    assert folder.chat_template == CHATML
