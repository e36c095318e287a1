from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from codegeex_lsp.text import languages
from codegeex_lsp.text.languages import LANGUAGES, BlockStyle
from model_runtime.prompts.tags import tag_line


def assert_language(language_id: str, path: str, expected: str | None) -> None:
    found = languages.of(language_id, path)
    assert (found.name if found else None) == expected


@pytest.mark.parametrize(
    ("language_id", "expected"),
    [
        ("python", "Python"),
        ("javascriptreact", "JavaScript"),
        ("typescriptreact", "TypeScript"),
        ("shellscript", "Shell"),
        ("sh", "Shell"),
        ("scss", "CSS"),
        ("cuda-cpp", "Cuda"),
        ("cs", "C#"),
        ("JAVA", "Java"),
        ("plaintext", None),
        ("", None),
    ],
)
def test_by_id(language_id: str, expected: str | None) -> None:
    assert_language(language_id, "untitled:Untitled-1", expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("file:///a/b.PY", "Python"),
        ("C:\\project\\kernel.cu", "Cuda"),
        ("/a.py/README", None),
        ("/home/.py", None),
        ("archive.tar.rs", "Rust"),
        ("Makefile", None),
        ("", None),
    ],
)
def test_by_path_where_the_id_says_nothing(path: str, expected: str | None) -> None:
    assert_language("plaintext", path, expected)


def test_the_id_comes_before_the_path() -> None:
    assert_language("cpp", "vector.h", "C++")
    assert_language("objective-c", "x.py", "Objective-C")


def test_no_id_and_no_suffix_belongs_to_two_languages() -> None:
    for attribute in ("ids", "suffixes"):
        every = [item for language in LANGUAGES for item in getattr(language, attribute)]
        assert len(every) == len(set(every))
        assert all(item == item.lower() for item in every)


def test_every_language_has_a_comment_and_every_style_is_used() -> None:
    assert all(language.line_comment or language.block_comment for language in LANGUAGES)
    assert {language.block_style for language in LANGUAGES} == set(BlockStyle)


def test_names_and_ids_are_those_of_the_model(goldens: Path) -> None:
    published = json.loads((goldens / "languages.json").read_text("utf-8"))["languages_23"]
    assert {language["name"] for language in published} == {one.name for one in LANGUAGES}
    for language in published:
        for language_id in language["vscode_ids_in_extension"]:
            assert_language(language_id, "", language["name"])
        for key in language["reference_keys"]:
            assert language["name"] in {one.name for one in LANGUAGES}, key


# --- one row a language: tag line, line comment or block comment, file type -----------------------

TABLE = """
C++            // language: C++            //       .cpp
Python         # language: Python          #        .py
Java           // language: Java           //       .java
JavaScript     // language: JavaScript     //       .js
C              // language: C              //       .c
Go             // language: Go             //       .go
HTML           <!--language: HTML-->       <!--     .html
Shell          # language: Shell           #        .sh
PHP            // language: PHP            //       .php
CSS            /* language: CSS */         /*       .css
TypeScript     // language: TypeScript     //       .ts
SQL            -- language: SQL            --       .sql
TeX            % language: TeX             %        .tex
Rust           // language: Rust           //       .rs
Objective-C    // language: Objective-C    //       .m
Scala          // language: Scala          //       .scala
Kotlin         // language: Kotlin         //       .kt
Pascal         // language: Pascal         //       .pas
Fortran        !language: Fortran          !        .f90
R              # language: R               #        .r
Cuda           // language: Cuda           //       .cu
C#             // language: C#             //       .cs
Objective-C++  // language: Objective-C++  //       .mm
"""


def test_the_table_of_the_23_languages() -> None:
    rows = [re.split(r"\s{2,}", row) for row in TABLE.strip().splitlines()]
    assert len(rows) == 23
    made = [
        [
            one.name,
            tag_line(one.name).strip(),
            one.line_comment or (one.block_comment or ("",))[0],
            one.suffixes[0],
        ]
        for one in LANGUAGES
    ]
    assert made == rows


@pytest.mark.parametrize("name", ["c++", "CPP", " Python ", "csharp", "C#", "shellscript"])
def test_named(name: str) -> None:
    found = languages.named(name)
    assert found is not None
    assert name.strip().lower() in {found.name.lower(), *found.ids}
    assert languages.named("Klingon") is None
