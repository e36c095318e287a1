"""Conversations by a tokenizer's own chat template, beside what transformers makes of the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import transformers

from model_runtime.folders import hub_folder
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


@dataclass(frozen=True)
class Tuned:
    """A template, the control tokens of its tokenizer, and what that adds by itself."""

    template: str
    controls: tuple[str, ...]
    bos: Any = tiny_hub.BEGIN
    begins: bool = False
    system: bool = True


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
    "it drops the system message": Tuned(PLAIN_BOS, (), begins=True, system=False),
}


def folder_of(path: Path, tuned: Tuned) -> Path:
    """The folder of such a model; without weights, since nothing is run."""
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama", "eos_token_id": 0}')
    tokenizer = tiny_hub.tokenizer_json(tuned.controls)
    (path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tuned.bos,
        "eos_token": tiny_hub.END,
        "add_bos_token": tuned.begins,
        "chat_template": tuned.template,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", TUNED)
def test_a_conversation_is_what_transformers_makes_of_it(tmp_path: Path, name: str) -> None:
    tuned = TUNED[name]
    folder = hub_folder.HubFolder(folder_of(tmp_path / "m", tuned), None, {"model_type": "llama"})
    tokenizer = Tokenizer.from_json(
        folder.path / "tokenizer.json", folder.begin, folder.controls[tiny_hub.END]
    )
    request = Generate(0, "", task=Task.EXPLAIN, code="x = 1", language="Python")
    found = render(folder.family, tokenizer, request, 3000).ids

    (asked,) = chat.explain(request)
    said = asked.text if tuned.system else f"{chat.SYSTEM}\n\n{asked.text}"
    messages = [{"role": "system", "content": chat.SYSTEM}] * tuned.system
    messages += [{"role": "user", "content": said}]
    theirs = transformers.AutoTokenizer.from_pretrained(folder.path)
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert tokenizer.decode(found) == theirs.decode(expected)
    assert found == expected
