"""Fill-in-the-middle prompts against the strings their publishers give."""

from __future__ import annotations

import pytest

from model_runtime.prompts.fim import CODEGEEX4, FORMATS, Cursor, pieces
from model_runtime.prompts.pieces import Control, Head, Tail, Text, shown
from model_runtime.prompts.rendering import of_catalogue
from model_runtime.wire.protocol import Generate, Snippet

P, S = "def add(a, b):\n    ", "\n    return c\n"

GOLDEN = {
    "qwen-coder": f"<|fim_prefix|>{P}<|fim_suffix|>{S}<|fim_middle|>",
    "starcoder2": f"<fim_prefix><fim_suffix>{S}<fim_middle>{P}",
    "granite-code": f"<fim_prefix><fim_suffix>{S}<fim_middle>{P}",
    "fim": f"<fim_prefix>{P}<fim_suffix>{S}<fim_middle>",
    "deepseek-coder": f"<｜fim▁begin｜>{P}<｜fim▁hole｜>{S}<｜fim▁end｜>",
    "codegemma": f"<|fim_prefix|>{P}<|fim_suffix|>{S}<|fim_middle|>",
    "codellama": f"<PRE> <SUF>{S} <MID> {P}",
    "codestral": f"[SUFFIX]{S}[PREFIX] {P}",
    "tekken": f"[SUFFIX]{S}[PREFIX]{P}",
    "seed-coder": f"<[fim-suffix]>{S}<[fim-prefix]>{P}<[fim-middle]>",
    "mellum": f"<fim_suffix>{S}<fim_prefix>{P}<fim_middle>",
    "codegeex4": (
        "<|user|>\n###PATH:src/add.py\n###LANGUAGE:Python\n###MODE:BLOCK\n"
        f"<|code_suffix|>{S}<|code_prefix|>{P}<|code_middle|><|assistant|>\n"
    ),
}

OTHERS = (Snippet("src/one.py", "ONE = 1"), Snippet("src/two.py", "TWO = 2"))
COMMENTS = "# src/one.py:\n# ONE = 1\n# src/two.py:\n# TWO = 2\n"

WITH_OTHERS = {
    "qwen-coder": (
        "<|repo_name|>sums\n<|file_sep|>src/one.py\nONE = 1\n<|file_sep|>src/two.py\nTWO = 2\n"
        f"<|file_sep|>src/add.py\n<|fim_prefix|>{P}<|fim_suffix|>{S}<|fim_middle|>"
    ),
    "starcoder2": (
        "<repo_name>sums<file_sep>src/one.py\nONE = 1<file_sep>src/two.py\nTWO = 2"
        f"<file_sep><fim_prefix><fim_suffix>{S}<fim_middle>src/add.py\n{P}"
    ),
    "mellum": (
        "<filename>src/one.py\nONE = 1\n<filename>src/two.py\nTWO = 2\n"
        f"<filename>src/add.py\n<fim_suffix>{S}<fim_prefix>{P}<fim_middle>"
    ),
    "codegeex4": (
        "<|user|>\n###REFERENCE:\n###PATH:src/one.py\nONE = 1\n"
        "###REFERENCE:\n###PATH:src/two.py\nTWO = 2\n"
        "###PATH:src/add.py\n###LANGUAGE:Python\n###MODE:BLOCK\n"
        f"<|code_suffix|>{S}<|code_prefix|>{P}<|code_middle|><|assistant|>\n"
    ),
    "granite-code": f"<fim_prefix><fim_suffix>{S}<fim_middle>{COMMENTS}{P}",
    "fim": f"<fim_prefix>{COMMENTS}{P}<fim_suffix>{S}<fim_middle>",
    "deepseek-coder": f"<｜fim▁begin｜>{COMMENTS}{P}<｜fim▁hole｜>{S}<｜fim▁end｜>",
    "codegemma": f"<|fim_prefix|>{COMMENTS}{P}<|fim_suffix|>{S}<|fim_middle|>",
    "codellama": f"<PRE> <SUF>{S} <MID> {COMMENTS}{P}",
    "codestral": f"[SUFFIX]{S}[PREFIX] {COMMENTS}{P}",
    "tekken": f"[SUFFIX]{S}[PREFIX]{COMMENTS}{P}",
    "seed-coder": f"<[fim-suffix]>{S}<[fim-prefix]>{COMMENTS}{P}<[fim-middle]>",
}


def place(files: tuple[Snippet, ...] = (), one_line: bool = False) -> Cursor:
    return Cursor(P, S, "src/add.py", "Python", "sums", files, one_line)


def test_every_format_has_a_golden_string() -> None:
    assert GOLDEN.keys() == WITH_OTHERS.keys() == FORMATS


@pytest.mark.parametrize("format", GOLDEN)
def test_the_prompt_of_one_file(format: str) -> None:
    assert shown(pieces(format, place())) == GOLDEN[format]


@pytest.mark.parametrize("format", WITH_OTHERS)
def test_the_prompt_with_other_files(format: str) -> None:
    assert shown(pieces(format, place(OTHERS))) == WITH_OTHERS[format]


@pytest.mark.parametrize("format", WITH_OTHERS)
def test_a_request_brings_them(format: str) -> None:
    request = Generate(
        1, P, S, OTHERS, language="Python", path="src/add.py", repository="sums", max_lines=2
    )
    assert shown(of_catalogue(format).prompt(request).pieces) == WITH_OTHERS[format]


def test_a_repository_without_a_name_is_not_announced() -> None:
    prompt = pieces("qwen-coder", Cursor(P, S, "add.py", files=OTHERS[:1]))
    assert shown(prompt).startswith("<|file_sep|>src/one.py\nONE = 1\n<|file_sep|>add.py\n")


def test_codegeex4_is_asked_for_a_line() -> None:
    assert "\n###MODE:LINE\n" in shown(pieces(CODEGEEX4, place(one_line=True)))


def test_codegeex4_without_path_language_and_suffix() -> None:
    assert shown(pieces(CODEGEEX4, Cursor("x = ", ""))) == (
        "<|user|>\n###PATH:\n###LANGUAGE:\n###MODE:BLOCK\n"
        "<|code_suffix|><|code_prefix|>x = <|code_middle|><|assistant|>\n"
    )


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_text_that_looks_like_a_control_token_stays_text(format: str) -> None:
    controls = [piece for piece in pieces(format, place()) if isinstance(piece, Control)]
    names = "".join(control.name + control.written for control in controls)
    files = (Snippet(names, names),)
    prompt = pieces(format, Cursor(names, names, names, names, names, files))
    inside = [piece for piece in prompt if isinstance(piece, Control)]
    assert inside[-len(controls) :] == controls, "none more behind the first of the template"
    marks = {"<|file_sep|>", "<|repo_name|>", "<file_sep>", "<repo_name>", "<filename>"}
    assert {control.name for control in inside[: -len(controls)]} <= marks
    assert sum(names in piece.text for piece in prompt if not isinstance(piece, Control)) >= 2


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_an_empty_document_leaves_the_control_tokens(format: str) -> None:
    prompt = pieces(format, Cursor("", ""))
    assert [piece for piece in prompt if isinstance(piece, Control)]
    assert "".join(piece.text for piece in prompt if isinstance(piece, Head | Tail)) == ""


def test_neighbouring_texts_are_one_piece() -> None:
    prompt = pieces("qwen-coder", place(OTHERS[:1]))
    assert [type(piece) for piece in prompt] == [
        *(Control, Text) * 3,
        *(Control, Tail),
        *(Control, Head),
        Control,
    ]
