from __future__ import annotations

import pytest

from codegeex_lsp.completion.brackets import auto_closed, unmatched, until_closer, without_literals


@pytest.mark.parametrize(
    ("text", "surplus", "wanted"),
    [
        ("f(a[0])", [], []),
        ("f(a[", [], [")", "]"]),
        ("x), g(y", [1], [")"]),
        ("]}", [0, 1], []),
        ("f(']')", [], []),
        ('f("\\")")', [], []),
        ("don't (", [], [")"]),
        ("(]", [1], [")"]),
    ],
)
def test_unmatched(text: str, surplus: list[int], wanted: list[str]) -> None:
    assert unmatched(text) == (surplus, wanted)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("foo", ""), ("f(", ")"), ("f([", "])"), ('f("', '")'), ('f("a")', ""), ("f(a)", "")],
)
def test_auto_closed(typed: str, expected: str) -> None:
    assert auto_closed(typed) == expected


@pytest.mark.parametrize(
    ("text", "closer", "expected"),
    [("a, b):", ")", "a, b"), ("g(a)):", ")", "g(a)"), ('name")', '"', "name"), ("a", ")", "a")],
)
def test_until_closer(text: str, closer: str, expected: str) -> None:
    assert until_closer(text, closer) == expected


def test_without_literals_keeps_every_index() -> None:
    text = 'a = \'(\' + "[\\"" + `{`'
    assert without_literals(text) == "a =     +       +    "
