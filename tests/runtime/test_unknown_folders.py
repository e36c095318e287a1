"""Folders that the catalogue doesn't know: whose family they are taken for, and where they end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_hub
import torch
from engine_bench import DEVICE, Bench

from model_runtime.folders import opening
from model_runtime.folders.hub_folder import HubFolder
from model_runtime.prompts.pieces import shown
from model_runtime.wire.protocol import Generate, Snippet, Task

# As the publishers' tokenizers have them.
STARCODER = (
    *("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<gh_stars>"),
    *("<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>"),
    *("<jupyter_code>", "<jupyter_output>", "<empty_output>", "<commit_before>", "<commit_msg>"),
    *("<commit_after>", "<reponame>"),
)
MELLUM = (
    *STARCODER,
    *("<system>", "</system>", "<assistant>", "</assistant>", "<user>", "</user>"),
    *("<think>", "</think>"),
)
SMOLLM2 = ("<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>")
GEMMA_HTML = ("<table>", "</table>", "<h1>", "<b>", "</code>")


def write(
    folder: Path, controls: tuple[str, ...], network: str = "llama", **tokenizer: Any
) -> HubFolder:
    folder.mkdir()
    description = tiny_hub.tokenizer_json(controls) | tokenizer
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    return HubFolder(folder, None, {"model_type": network, "eos_token_id": 0})


SUFFIX_FIRST = "<fim_prefix><fim_suffix>S<fim_middle># o:\n# O\nP"
PREFIX_FIRST = "<fim_prefix># o:\n# O\nP<fim_suffix>S<fim_middle>"


@pytest.mark.parametrize(
    ("network", "controls", "prompt"),
    [
        ("llama", MELLUM, "<filename>o\nO\n<filename>a.py\n<fim_suffix>S<fim_prefix>P<fim_middle>"),
        ("llama", STARCODER, SUFFIX_FIRST),
        ("gpt_bigcode", STARCODER, SUFFIX_FIRST),
        ("stablelm", STARCODER, PREFIX_FIRST),
        ("granite", (*STARCODER, "<|start_of_role|>", "<|end_of_role|>"), PREFIX_FIRST),
        (
            "llama",
            ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<filename>"),
            "<filename>o\nO\n<filename>a.py\n<fim_suffix>S<fim_prefix>P<fim_middle>",
        ),
        ("llama", ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"), PREFIX_FIRST),
        ("llama", SMOLLM2, "# o:\n# O\nP"),
    ],
)
def test_a_family_is_known_by_what_its_folder_says(
    tmp_path: Path, network: str, controls: tuple[str, ...], prompt: str
) -> None:
    folder = write(tmp_path / "m", controls, network)
    request = Generate(0, "P", "S", (Snippet("o", "O"),), path="a.py", language="Python")
    assert shown(folder.family.prompt(request).pieces) == prompt


@pytest.mark.parametrize(("sentencepiece", "blank"), [(True, " "), (False, "")])
def test_a_blank_is_sentencepieces(tmp_path: Path, sentencepiece: bool, blank: str) -> None:
    changed = {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}}
    folder = write(tmp_path / "m", ("[SUFFIX]", "[PREFIX]"), **changed if sentencepiece else {})
    prompt = folder.family.prompt(Generate(0, "P", "S")).pieces
    assert shown(prompt) == f"[SUFFIX]S[PREFIX]{blank}P"
    assert shown(folder.family.prompt(Generate(0, "", "S")).pieces) == "[SUFFIX]S[PREFIX]"


# --- ends ---------------------------------------------------------------------------------------


def speaking(folder: Path, *tokens: str) -> Bench:
    """An engine on this folder whose model says these tokens, and then x for ever."""
    bench = Bench(folder.parent, opening.load(str(folder), DEVICE.place, DEVICE.dtype))
    bench.engine.device = dataclasses.replace(DEVICE, prefill_chunk=999)  # a step a prompt
    tokenizer = bench.engine.model.tokenizer
    ids = [tokenizer.controls.get(one, tokenizer.encode(one)[0]) for one in tokens]
    said = iter([*ids, *tokenizer.encode("x" * 99)])

    def say(logits: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(logits, -1e9)
        forced[..., next(said)] = 0
        return forced

    bench.steps.change = say
    return bench


CHAT = "{% for message in messages %}<turn>{{ message['content'] }}{% endfor %}<turn>"


def served(folder: Path, names: tuple[str, ...], special: bool, chat_template: str = "") -> Path:
    """The folder of a model whose tokenizer has these control tokens too."""
    description = tiny_hub.tokenizer_json((*tiny_hub.KINDS["llama"][2], *names))
    for token in description["added_tokens"]:
        token["special"] = special if token["content"] in names else token["special"]
    return tiny_hub.write_folder(
        folder, "llama", tokenizer=description, chat_template=chat_template
    )


@pytest.mark.parametrize(
    "name", ["▁<EOT>", "<EOT>", "<|EOT|>", "<|file_separator|>", "<|fim_pad|>", "<filename>"]
)
@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("task", [Task.COMPLETE, Task.TEMPLATE])
def test_any_control_token_ends_a_completion(
    tmp_path: Path, name: str, special: bool, task: Task
) -> None:
    bench = speaking(served(tmp_path / "m", (name,), special), "a", "b", name, "c")
    (found,) = bench.ask("x = ", task=task, max_new_tokens=9, independent=True).candidates
    assert (found.text, found.finish) == ("ab", "end")


def test_tags_that_people_write_are_text(tmp_path: Path) -> None:
    bench = speaking(served(tmp_path / "m", GEMMA_HTML, special=False), *"<table>", "\n")
    tokenizer = bench.engine.model.tokenizer
    assert not set(GEMMA_HTML) & tokenizer.controls.keys()
    assert tokenizer.decode(tokenizer.encode("<table><b>x</b>")) == "<table><b>x</b>"
    (found,) = bench.ask("x = ", max_new_tokens=9, max_lines=1, independent=True).candidates
    assert (found.text, found.finish) == ("<table>", "lines")


@pytest.mark.parametrize(
    ("special", "text", "finish"), [(True, "a", "end"), (False, "a<think>bxxx", "length")]
)
def test_an_answer_may_hold_what_is_not_special(
    tmp_path: Path, special: bool, text: str, finish: str
) -> None:
    folder = served(tmp_path / "m", ("<turn>", "<think>"), special, CHAT)
    bench = speaking(folder, "a", "<think>", "b")
    (found,) = bench.ask("", task=Task.SUMMARISE, code="x", max_new_tokens=6).candidates
    assert (found.text, found.finish) == (text, finish)
