"""Prompts: their form, their budget, and that typing leaves their beginning alone."""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_runtime.errors import BadPromptError
from model_runtime.folders.native import TOKENIZER_FILE
from model_runtime.options import EMBEDDED_FOLDER
from model_runtime.prompts.rendering import PromptFormat, render
from model_runtime.prompts.tags import TAGS, tag_line
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate

CODEGEEX = Tokenizer.codegeex_13b()
NANO = Tokenizer.from_json(EMBEDDED_FOLDER / TOKENIZER_FILE)
FORMATS = {PromptFormat.CODEGEEX: CODEGEEX, PromptFormat.NANO_FIM: NANO}
BOTH = pytest.mark.parametrize("format", FORMATS)

LONG_FILE = Path(argparse.__file__).read_text(encoding="utf-8")


def prompt(
    format: PromptFormat,
    prefix: str,
    suffix: str = "",
    *,
    language: str = "Python",
    budget: int = 400,
) -> list[int]:
    request = Generate(0, prefix, suffix, language=language)
    ids = render(format, FORMATS[format], request, budget).ids
    assert 0 < len(ids) <= budget
    return ids


def text_of(format: PromptFormat, ids: list[int]) -> str:
    """The prompt as one string, control tokens by name."""
    return FORMATS[format].decode(ids)


# --- form -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "language", "prefix", "suffix", "expected"),
    [
        (PromptFormat.CODEGEEX, "Python", "x = ", "ignored", "# language: Python\nx = "),
        (PromptFormat.CODEGEEX, "Nonsense", "x = ", "", "x = "),
        (PromptFormat.CODEGEEX, "Go", "", "", "// language: Go\n"),
        (PromptFormat.CODEGEEX, "", "", "", "<|endoftext|>"),
        (
            PromptFormat.NANO_FIM,
            "C++",
            "int x",
            ";\n",
            "// language: C++\n<|fim_suffix|>;\n<|fim_prefix|>int x",
        ),
        (PromptFormat.NANO_FIM, "", "", "", "<|fim_suffix|><|fim_prefix|>"),
    ],
)
def test_form(format: PromptFormat, language: str, prefix: str, suffix: str, expected: str) -> None:
    assert text_of(format, prompt(format, prefix, suffix, language=language)) == expected


def test_control_tokens_in_code_stay_text() -> None:
    code = "x = '<|fim_prefix|><|endoftext|>'"
    ids = prompt(PromptFormat.NANO_FIM, code, code)
    assert [ids.count(NANO.control(name)) for name in ("<|fim_prefix|>", "<|endoftext|>")] == [1, 0]


def test_codegeex_is_tokenized_as_one_text() -> None:
    """The reference joins tag and code first: two newlines in a row are one token."""
    assert prompt(PromptFormat.CODEGEEX, "\nx") == CODEGEEX.encode("# language: Python\n\nx")


def test_nano_gives_the_seeds_ids(nano_seed: Path) -> None:
    cases = json.loads((nano_seed / "check.json").read_text(encoding="utf-8"))
    for case, language in zip(cases, ("Python", "Java", "Go"), strict=True):
        ids = prompt(PromptFormat.NANO_FIM, case["prefix"], case["suffix"], language=language)
        assert ids == case["ids"]


# --- tags -------------------------------------------------------------------------------------


def test_the_published_tags(goldens: Path) -> None:
    table = json.loads((goldens / "languages.json").read_text(encoding="utf-8"))
    assert table["all_reference_tags"] == TAGS
    assert table["languages_23"]
    for language in table["languages_23"]:
        for key in (language["name"], *language["reference_keys"]):
            assert tag_line(key) == language["tag"] + "\n"


def test_published_prompts(goldens: Path) -> None:
    lines = (goldens / "benchmark/rules.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [case for case in map(json.loads, lines) if case["kind"] == "process_extra_prompt"]
    assert cases
    for case in cases:
        ids = prompt(PromptFormat.CODEGEEX, case["input"], language=case["language"])
        assert text_of(PromptFormat.CODEGEEX, ids) == case["output"]


# --- budget -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("budget", [16, 17, 40, 100, 333, 1000])
def test_the_end_of_the_prefix_is_kept_and_most_of_the_budget_used(
    format: PromptFormat, budget: int
) -> None:
    ids = prompt(format, LONG_FILE[:8000], budget=budget)
    assert LONG_FILE[:8000].endswith(text_of(format, ids)[-12:])
    assert len(ids) > 0.6 * budget


@BOTH
def test_a_cut_prefix_begins_at_a_line_start(format: PromptFormat) -> None:
    for end in range(6000, 6400, 7):
        text = text_of(format, prompt(format, LONG_FILE[:end], language=""))
        kept = text.removeprefix("<|fim_suffix|><|fim_prefix|>")
        assert LONG_FILE[:end].endswith("\n" + kept)


def test_the_suffix_gets_a_quarter_and_the_prefix_what_is_left() -> None:
    ids = prompt(PromptFormat.NANO_FIM, LONG_FILE, LONG_FILE, budget=400)
    suffix = ids[ids.index(NANO.control("<|fim_suffix|>")) + 1 : ids.index(1)]
    assert len(suffix) == 100
    assert LONG_FILE.startswith(NANO.decode(suffix))
    assert len(prompt(PromptFormat.NANO_FIM, LONG_FILE, "", budget=400)) > 300


@pytest.mark.parametrize("budget", [-5, 0, 1, 5])
@BOTH
def test_a_budget_too_small(format: PromptFormat, budget: int) -> None:
    with pytest.raises(BadPromptError, match="no room for any code"):
        prompt(format, "x", budget=budget)


TEXTS = st.text(st.sampled_from("ab \n\t(){}é日\U0001f9ff"), max_size=400)


@BOTH
@given(prefix=TEXTS, suffix=TEXTS, budget=st.integers(12, 60))
@settings(max_examples=100, deadline=None)
def test_any_text_fits_any_budget(
    format: PromptFormat, prefix: str, suffix: str, budget: int
) -> None:
    prompt(format, prefix, suffix, budget=budget)


@BOTH
@pytest.mark.parametrize("line", ["x", "x = 1; ", " ", "日", "\n", "    y\n"])
def test_a_megabyte_is_cut_before_it_is_tokenized(format: PromptFormat, line: str) -> None:
    text = line * (1_000_000 // len(line))
    started = time.perf_counter()
    ids = prompt(format, text, text)
    assert time.perf_counter() - started < 0.1
    assert text.endswith(text_of(format, ids)[-1:])


# --- stability --------------------------------------------------------------------------------


def shared(left: list[int], right: list[int]) -> int:
    return next(
        (index for index, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )


@BOTH
@pytest.mark.parametrize("start", [900, 4000, 7000])
@pytest.mark.parametrize("typed", [LONG_FILE[1000:1200], "x" * 200, "\n" * 200, "f(日)\t" * 40])
def test_typing_changes_only_the_tail(format: PromptFormat, start: int, typed: str) -> None:
    suffix = LONG_FILE[start : start + 500]
    prompts = [
        prompt(format, LONG_FILE[:start] + typed[:count], suffix) for count in range(len(typed) + 1)
    ]
    shares = [shared(a, b) / len(b) for a, b in itertools.pairwise(prompts)]
    assert sum(share > 0.8 for share in shares) >= 0.95 * len(shares)
