"""Identifiers and sentences to words."""

from __future__ import annotations

import pytest

from codegeex_lsp.index import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parse_header", "parse_header parse header"),
        ("parseHTTPHeader", "parsehttpheader parse http header"),
        ("HTMLParser", "htmlparser html parser"),
        ("utf8", "utf8 utf 8"),
        ("Größe lesen", "größe gr öß e lesen"),
        ("x = y", "x y"),
        ("__init__", "init"),
        ("+-*/ \n", ""),
    ],
)
def test_identifiers_are_kept_whole_and_in_parts(text: str, expected: str) -> None:
    assert words.of_text(text) == expected


def test_a_question_loses_the_words_that_say_nothing() -> None:
    assert words.asked("Return the size of a file") == ["return", "size", "file"]


def test_a_question_of_such_words_alone_keeps_them() -> None:
    assert words.asked("to be or not to be") == ["not"]
    assert words.asked("if this") == ["if", "this"]


def test_endless_identifiers_are_no_words() -> None:
    assert words.of_text("a" * 1000 + " short") == "short"
