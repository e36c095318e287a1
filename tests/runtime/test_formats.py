"""What each family is asked with for each task, word for word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_runtime.errors import BadPromptError
from model_runtime.prompts.pieces import shown
from model_runtime.prompts.rendering import PromptFormat, of_catalogue, render
from model_runtime.prompts.tags import comment, tag_line
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Generate, Snippet, Task

CODEGEEX_13B = Tokenizer.codegeex_13b()
ADD = "def add(a, b):\n    return a + b"
JAVA = "int add(int a, int b) {\n    return a + b;\n}"


def prompt(format: PromptFormat, task: Task, **fields: Any) -> str:
    request = Generate(0, **{"prefix": "", "language": "Python", **fields}, task=task)
    return shown(format.prompt(request).pieces)


# --- CodeGeeX-13B -------------------------------------------------------------------------------


def test_the_published_translation_prompts(goldens: Path) -> None:
    """The target's declaration, which the benchmark gives, is the instruction."""
    names = {"python": "Python", "java": "Java", "cpp": "C++", "js": "JavaScript", "go": "Go"}
    lines = (goldens / "benchmark/rules.jsonl").read_text("utf-8").splitlines()
    cases = [case for case in map(json.loads, lines) if case["kind"] == "translation_prompt"]
    assert cases
    for case in cases:
        request = Generate(
            0,
            "",
            task=Task.TRANSLATE,
            code=case["src_declaration"] + "\n" + case["src_solution"],
            language=names[case["src"]],
            target_language=names[case["tgt"]],
            instruction=case["tgt_declaration"],
        )
        made = PromptFormat.CODEGEEX.prompt(request)
        assert shown(made.pieces) == case["output"]
        assert made.lead == case["tgt_declaration"]
        ids = render(PromptFormat.CODEGEEX, CODEGEEX_13B, request, 1000).ids
        assert ids == CODEGEEX_13B.encode(case["output"])


def test_codegeex_translation_ends_where_another_begins() -> None:
    request = Generate(
        0, "", task=Task.TRANSLATE, code=ADD, language="Python", target_language="C#"
    )
    made = PromptFormat.CODEGEEX.prompt(request)
    assert shown(made.pieces) == f"code translation\nPython:\n{ADD}\nC#:\n"
    assert made.stop == ("\ncode translation", "\nPython:\n", "\nC#:\n")


def test_codegeex_explains_after_one_example() -> None:
    request = Generate(0, "", task=Task.EXPLAIN, code=ADD, language="Python")
    made = PromptFormat.CODEGEEX.prompt(request)
    assert shown(made.pieces) == (
        "# language: Python\n"
        "def larger(a, b):\n    if a > b:\n        return a\n    return b\n\n"
        "def add(a, b):\n    return a + b\n\n"
        "# Explain the code line by line\n"
        "def larger(a, b):\n"
        "    # If the first value is above the second\n    if a > b:\n"
        "        # the first one is the answer\n        return a\n"
        "    # Otherwise the second one is the answer\n    return b\n\n"
        "# Explain the code line by line\n"
        "def add(a, b):"
    )
    assert made.lead == "def add(a, b):"
    assert made.stop == ("\n# Explain the code line by line",)


@pytest.mark.parametrize(
    ("language", "header"),
    [
        ("C++", "// Explain the code line by line"),
        ("CSS", "/* Explain the code line by line */"),
        ("HTML", "<!--Explain the code line by line-->"),
        ("Fortran", "!Explain the code line by line"),
        ("Nonsense", "# Explain the code line by line"),
    ],
)
def test_codegeex_explains_in_the_languages_comments(language: str, header: str) -> None:
    text = prompt(PromptFormat.CODEGEEX, Task.EXPLAIN, code="one line", language=language)
    assert text.startswith(tag_line(language))
    assert text.endswith(f"\n\n{header}\n")
    assert text.count(header) == 2


@pytest.mark.parametrize(
    ("language", "code", "end", "stop"),
    [
        ("Python", ADD, 'def add(a, b):\n    """', '"""'),
        (
            "Python",
            "def f(\n    a,\n    b,\n):\n    return a",
            'def f(\n    a,\n    b,\n):\n    """',
            '"""',
        ),
        ("Java", JAVA, "\n//", "\nint add(int a, int b) {"),
        ("SQL", "SELECT 1", "\n--", "\nSELECT 1"),
    ],
)
def test_codegeex_documents(language: str, code: str, end: str, stop: str) -> None:
    request = Generate(0, "", task=Task.DOCSTRING, code=code, language=language)
    made = PromptFormat.CODEGEEX.prompt(request)
    header = comment(language, "Describe what the code does")
    assert f"\n\n{code}\n\n{header}\n" in shown(made.pieces)
    assert shown(made.pieces).endswith(end)
    assert made.stop == (stop, f"\n{header}")


@pytest.mark.parametrize("format", [PromptFormat.CODEGEEX, PromptFormat.CODEGEEX2])
@pytest.mark.parametrize(
    ("prefix", "instruction", "language", "expected"),
    [
        ("# write a bubble sort function\n", "", "Python", "# write a bubble sort function\n"),
        ("x = 1\n", "sort x", "Python", "x = 1\n# sort x\n"),
        ("x = 1", "sort x", "Python", "x = 1\n# sort x\n"),
        ("void f() {\n    ", "loop\ntwice", "C", "void f() {\n    // loop\n    // twice\n"),
    ],
)
def test_codegeex_generates_below_a_comment(
    format: PromptFormat, prefix: str, instruction: str, language: str, expected: str
) -> None:
    text = prompt(format, Task.GENERATE, prefix=prefix, instruction=instruction, language=language)
    assert text == tag_line(language) + expected


def test_a_template_brings_its_tag_line_or_gets_one() -> None:
    with_tag = "# language: Go\nx"
    assert prompt(PromptFormat.CODEGEEX, Task.TEMPLATE, prefix=with_tag) == with_tag
    assert prompt(PromptFormat.CODEGEEX, Task.TEMPLATE, prefix="x") == "# language: Python\nx"


# --- the others ---------------------------------------------------------------------------------

GENERATED = (
    "x = 1\n\n\nContinue this Python code: write {}. "
    "Output only the new code, without what is there already."
)
ONLY = "Translate this Python code to Go. Output only the code."
SYSTEM = "You are a programming assistant. You answer with code that is complete and correct."


@pytest.mark.parametrize(
    ("format", "task", "fields", "expected"),
    [
        (
            PromptFormat.CODEGEEX4,
            Task.COMPLETE,
            {"prefix": "x = ", "suffix": "\n", "path": "a.py"},
            "<|user|>\n###PATH:a.py\n###LANGUAGE:Python\n###MODE:BLOCK\n<|code_suffix|>\n"
            "<|code_prefix|>x = <|code_middle|><|assistant|>\n",
        ),
        (
            PromptFormat.CODEGEEX4,
            Task.COMPLETE,
            {"prefix": "x", "max_lines": 1, "language": ""},
            "<|user|>\n###PATH:\n###LANGUAGE:\n###MODE:LINE\n<|code_suffix|>"
            "<|code_prefix|>x<|code_middle|><|assistant|>\n",
        ),
        (
            PromptFormat.CODEGEEX4,
            Task.TRANSLATE,
            {"code": ADD, "target_language": "Go"},
            f"<|system|>\n{SYSTEM}<|user|>\n{ADD}\n\n{ONLY}<|assistant|>\n",
        ),
        (
            PromptFormat.CHATML,
            Task.COMPLETE,
            {"prefix": "x = ", "suffix": "\n"},
            "<|fim_prefix|>x = <|fim_suffix|>\n<|fim_middle|>",
        ),
        (
            PromptFormat.CHATML,
            Task.GENERATE,
            {"prefix": "x = 1\n", "instruction": "a loop"},
            f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
            f"{GENERATED.format('a loop')}<|im_end|>\n<|im_start|>assistant\n",
        ),
        (PromptFormat.CODEGEN, Task.COMPLETE, {"prefix": "x = "}, "x = "),
        (
            PromptFormat.CODEGEN,
            Task.GENERATE,
            {"prefix": "", "instruction": "sort x"},
            "# sort x\n",
        ),
        (PromptFormat.CODET5P, Task.DOCSTRING, {"code": ADD}, ADD),
    ],
)
def test_form(format: PromptFormat, task: Task, fields: dict[str, Any], expected: str) -> None:
    assert prompt(format, task, **fields) == expected


@pytest.mark.parametrize("format", [PromptFormat.CODEGEEX4, PromptFormat.CHATML])
@pytest.mark.parametrize(
    ("task", "end"),
    [
        (Task.EXPLAIN, "says what the statement does."),
        (Task.DOCSTRING, "Output only the text of the comment."),
        (Task.SUMMARISE, "Output only it."),
        (Task.TEMPLATE, "mine"),
    ],
)
def test_a_conversation_asks_in_words(format: PromptFormat, task: Task, end: str) -> None:
    text = prompt(format, task, code=ADD, prefix="mine")
    asked = text.partition("user")[2]
    assert (ADD in asked) == (task is not Task.TEMPLATE)
    closing = {
        PromptFormat.CODEGEEX4: "<|assistant|>\n",
        PromptFormat.CHATML: "<|im_end|>\n<|im_start|>assistant\n",
    }
    assert text.endswith(end + closing[format])


# --- tasks --------------------------------------------------------------------------------------


def test_each_family_says_what_it_can() -> None:
    everything = set(Task)
    assert {format: set(format.tasks) for format in PromptFormat} == {
        PromptFormat.CODEGEEX: everything,
        PromptFormat.NANO_FIM: {Task.COMPLETE, Task.TEMPLATE},
        PromptFormat.CODEGEEX2: everything,
        PromptFormat.CODEGEEX4: everything,
        PromptFormat.CODEGEN: {Task.COMPLETE, Task.GENERATE, Task.TEMPLATE},
        PromptFormat.CODET5P: {Task.DOCSTRING, Task.EXPLAIN, Task.SUMMARISE},
        PromptFormat.CHATML: everything,
    }


def test_a_task_the_family_cannot_has_no_prompt() -> None:
    with pytest.raises(BadPromptError, match="translate"):
        PromptFormat.NANO_FIM.prompt(Generate(0, "", task=Task.TRANSLATE))


def test_code_that_does_not_fit_is_refused_and_never_cut() -> None:
    request = Generate(
        0, "", task=Task.TRANSLATE, code="x = 1\n" * 500, language="Python", target_language="Go"
    )
    with pytest.raises(BadPromptError, match=r"more than the 200 tokens that fit; select less"):
        render(PromptFormat.CODEGEEX, CODEGEEX_13B, request, 200)
    with pytest.raises(BadPromptError, match="select less"):
        render(
            PromptFormat.CODEGEEX,
            CODEGEEX_13B,
            Generate(0, "", task=Task.TRANSLATE, code="x" * 10_000_000),
            200,
        )


@pytest.mark.parametrize("rule", ["=", " ", "\t", "-=", "é", "x = 1\n"])
@pytest.mark.parametrize("length", [100, 12_400, 100_000])
@pytest.mark.parametrize("task", [Task.TRANSLATE, Task.EXPLAIN, Task.DOCSTRING, Task.TEMPLATE])
def test_code_is_there_whole_or_refused(rule: str, length: int, task: Task) -> None:
    """Also where a token stands for more characters than those of code do."""
    code = (rule * length)[:length] + "# the end"
    request = Generate(0, code, task=task, code=code, language="Python", target_language="Go")
    tokens = len(CODEGEEX_13B.encode(code))
    if tokens < 250:
        ids = render(PromptFormat.CODEGEEX, CODEGEEX_13B, request, 500).ids
        assert code in CODEGEEX_13B.decode(ids)
    else:
        with pytest.raises(BadPromptError, match="select less"):
            render(PromptFormat.CODEGEEX, CODEGEEX_13B, request, min(500, tokens - 1))


def test_codet5p_fills_a_gap_as_the_catalogue_says() -> None:
    family = of_catalogue("t5-span")
    request = Generate(1, "x = ", "\n", (Snippet("a.py", "ONE = 1"),))
    assert shown(family.prompt(request).pieces) == "x = <extra_id_0>\n"
    assert "<extra_id_0>" in family.silent, "its answer begins with the gap's name"


def test_a_conversation_is_shown_other_files_above_the_code() -> None:
    others = (Snippet("lib/a.py", "ONE = 1"),)
    text = prompt(PromptFormat.CHATML, Task.GENERATE, prefix="x = 1\n", snippets=others)
    assert "<|im_start|>user\n# lib/a.py:\n# ONE = 1\nx = 1\n\n\nContinue" in text


def test_codegen_reads_other_files_as_comments() -> None:
    others = (Snippet("lib/a.py", "ONE = 1"),)
    text = prompt(
        PromptFormat.CODEGEN, Task.GENERATE, prefix="", instruction="sort x", snippets=others
    )
    assert text == "# lib/a.py:\n# ONE = 1\n# sort x\n"
