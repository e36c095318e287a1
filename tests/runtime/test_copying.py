"""Copies from the same file: what is proposed, what is not, and how long it takes."""

from __future__ import annotations

import time

import pytest

from benchmarks.copying import predict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("self.assertEqual(a, b)\nself.assertEq|", "ual(a, b)"),
        ("self.assertEq|\nself.assertEqual(a, b)\n", "ual(a, b)"),
        ("import numpy as np  \nimport num|\n", "py as np"),
        ("import numpy as np\r\nimport num|\r\n", "py as np"),
        ("value = compute(left)\nvalue = compute(|)\n", "left"),
        # The longest match decides, not the nearest.
        ("x = make_thing(1)\ny = make_thing(2)\nx = make_thi|", "ng(1)"),
        # The same continuation twice is one.
        ("raise TypeError()\nraise TypeError()\nraise Typ|\n", "eError()"),
    ],
)
def test_the_rest_of_a_line_that_stands_elsewhere(text: str, expected: str) -> None:
    prefix, suffix = text.split("|")
    assert predict(prefix, suffix) == expected


@pytest.mark.parametrize(
    "text",
    [
        "|",
        "x|",
        "short = 1\nshort|",  # seven characters match at most
        "                    a\n                    |",  # blanks alone are no match
        "a = compute(1)\nb = compute(2)\nc = compute(|",  # it goes on differently
        "return result\nreturn result|\n",  # nothing stands behind it there
        "first_line()\nsecond_line()\nfirst_line()\nsecond_|line()\n",  # stands there already
        "start_it()\nfirst_name(\n|start_it()\nfirst_name(",
        "value = compute(left)\nvalue = compute(|, right)\n",  # wouldn't fit what stands behind
        "one_two_three_four|",
    ],
)
def test_no_proposal(text: str) -> None:
    prefix, suffix = text.split("|")
    assert predict(prefix, suffix) is None


def test_nothing_is_proposed_that_the_next_line_says() -> None:
    prefix = "begin_block(a)\n    body()\nelsewhere\nbegin_blo"
    assert predict(prefix, "\n   ck(a)\n") is None
    assert predict(prefix, "\n   other\n") == "ck(a)"


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ("a" * 20_000, "\n"),
        ("a" * 19_999 + "b", "\n" + "a" * 20_000),
        (("a" * 100 + "b") * 198 + "a" * 90 + "c", "a" * 20_000),
        ("ab" * 10_000, "ba" * 10_000),
        ("x = 1\n" * 200_000, "x = 1\n" * 200_000),
    ],
    ids=["one letter", "one other letter", "periods", "pairs", "over a megabyte"],
)
def test_texts_made_to_be_slow(prefix: str, suffix: str) -> None:
    """Each took under 0.2 ms on 2026-11-20; the limit leaves room for a busy machine."""
    best = min(timed(prefix, suffix) for _ in range(5))
    assert best < 0.005


def timed(prefix: str, suffix: str) -> float:
    began = time.perf_counter()
    predict(prefix, suffix)
    return time.perf_counter() - began
