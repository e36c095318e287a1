"""Pieces of other files in the prompt and in the memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from engine_bench import Bench

from model_runtime.decoding.mixing import Trust
from model_runtime.prompts import quoting
from model_runtime.prompts.pieces import shown
from model_runtime.prompts.rendering import PromptFormat, render
from model_runtime.wire.protocol import Decoder, Generate, Snippet, encode

ONE = Snippet("lib/reader.py", "def read():\n    pass")
TWO = Snippet("lib/writer.py", "def write():\n    pass")


def prompt(*snippets: Snippet, language: str = "Python") -> str:
    request = Generate(1, "x = ", language=language, snippets=snippets)
    return shown(PromptFormat.CODEGEEX.prompt(request).pieces)


def test_snippets_travel() -> None:
    request = Generate(1, "x", snippets=(ONE, TWO))
    assert list(Decoder().feed(encode(request))) == [request]


def test_codegeex_reads_them_as_comments_below_their_paths() -> None:
    assert prompt(ONE, TWO) == (
        "# language: Python\n"
        "# lib/reader.py:\n# def read():\n#     pass\n"
        "# lib/writer.py:\n# def write():\n#     pass\n"
        "x = "
    )
    assert prompt(ONE, language="C").startswith("// language: C\n// lib/reader.py:\n// def read")


def test_without_snippets_the_prompt_is_the_published_one() -> None:
    assert prompt() == "# language: Python\nx = "


@pytest.mark.parametrize("family", [PromptFormat.CODEGEEX, PromptFormat.CODEGEN])
def test_they_get_a_quarter_of_the_budget_and_are_never_cut(
    tmp_path: Path, family: PromptFormat
) -> None:
    tokenizer = Bench(tmp_path).engine.model.tokenizer
    short, long = Snippet("a.py", "ab = 1"), Snippet("b.py", "value = other\n" * 400)
    text = "z = 2\n" * 2000
    budget = quoting.LEAST_BUDGET

    def rendered(*snippets: Snippet, budget: int = budget) -> str:
        request = Generate(1, text, language="Python", snippets=snippets)
        ids = render(family, tokenizer, request, budget).ids
        assert len(ids) <= budget
        return tokenizer.decode(ids)

    assert "# a.py:\n# ab = 1\nz = 2\n" in rendered(long, short, long)
    assert "value" not in rendered(long, short, long)
    many = rendered(*(short,) * 400)
    quoted = tokenizer.encode("# a.py:\n# ab = 1\n")
    assert budget // 8 < len(quoted) * many.count("ab = 1") <= budget // 4
    most = rendered(*(short,) * 4000, budget=100 * budget)
    assert len(quoted) * most.count("ab = 1") <= quoting.MOST_TOKENS
    assert "ab" not in rendered(short, budget=budget - 1), "a small context is the file's own"


def test_typing_on_below_the_same_snippets_keeps_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    model = dataclasses.replace(bench.engine.model, format=PromptFormat.CODEGEEX)
    bench.engine.model = model
    monkeypatch.setattr(quoting, "LEAST_BUDGET", 0)
    monkeypatch.setattr(quoting, "SHARE", 1)
    assert quoting.fitting((ONE,), "Python", model.tokenizer, bench.engine.cache.context // 2)
    asked = {"max_new_tokens": 1, "language": "Python", "snippets": (ONE,)}
    before = bench.ask("x = 1\n", **asked).timing
    after = bench.ask("x = 1\nyy", **asked).timing
    assert before.cached_tokens == 0
    assert after.cached_tokens >= before.prompt_tokens - 1
    other = bench.ask("x = 1\nyyz", **{**asked, "snippets": (TWO,)}).timing
    assert other.cached_tokens < after.cached_tokens


def test_a_model_with_a_memory_writes_what_a_snippet_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    always = Trust(bias=50.0, match=0.0, agreement=0.0, places=0.0, network=0.0)
    bench.engine.model = dataclasses.replace(bench.engine.model, trust=always)
    told = Snippet("a.py", "server.send_everything(now)\nnext()\n")
    asked = {"max_new_tokens": 40, "max_lines": 1, "document": "b.py"}
    prefix = "first = 1\nconnection.send_ev"
    [with_it] = bench.ask(prefix, snippets=(told,), **asked).candidates
    [without] = bench.ask(prefix, **asked).candidates
    assert with_it.text == "erything(now)"
    assert without.text != with_it.text


@pytest.mark.parametrize("path", ["a\nb.py", ""])
def test_an_odd_path_stays_a_comment(path: str) -> None:
    lines = prompt(Snippet(path, "pass")).split("\n")
    assert all(line.startswith("# ") for line in lines[:-1])
