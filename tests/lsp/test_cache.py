from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from marked import MARK, context_of

from codegeex_lsp.completion.cache import LASTING, SuggestionCache
from codegeex_lsp.completion.suggestion import Suggestion
from model_runtime.wire.protocol import Reason

URI = "file:///project/file"


def suggestions(*texts: str) -> tuple[Suggestion, ...]:
    return tuple(Suggestion(text, "model", -0.5, -1.0) for text in texts)


def assert_found(
    asked: str, texts: str | Sequence[str], now: str, expected: str | Sequence[str]
) -> None:
    """`texts` were suggested at the mark of `asked`; the document then reads `now`."""
    cache = SuggestionCache()
    texts = [texts] if isinstance(texts, str) else texts
    expected = [expected] if isinstance(expected, str) else expected
    cache.put(URI, context_of(asked), suggestions(*texts), 0.0)
    found = cache.get(URI, context_of(now), 1.0)
    assert found == (suggestions(*expected) or None)


def test_the_same_place_again() -> None:
    assert_found("x = ‸\ny\n", "call(1)", "x = ‸\ny\n", "call(1)")


def test_typing_through() -> None:
    assert_found("x = ‸", "call(1)", "x = ca‸", "ll(1)")
    assert_found("x = ‸", "call(1)", "x = call(1‸", ")")


def test_typing_all_of_it_or_something_else_misses() -> None:
    assert_found("x = ‸", "call(1)", "x = call(1)‸", [])
    assert_found("x = ‸", "call(1)", "x = cx‸", [])
    assert_found("x = ‸", "call(1)\n", "x = call(1)‸", [])


def test_deleting_before_the_place_misses() -> None:
    assert_found("x = ‸", "call(1)", "x =‸", [])
    assert_found("a\nx = ‸", "call(1)", "a‸", [])


def test_only_the_candidates_still_right_remain() -> None:
    assert_found("x = ‸", ["call(1)", "new(2)", "cast(3)"], "x = ca‸", ["ll(1)", "st(3)"])


def test_across_lines() -> None:
    asked, text = "def f(x):‸\n\nf(1)\n", "\n    y = x\n    return y"
    assert_found(asked, text, "def f(x):\n    y‸\n\nf(1)\n", " = x\n    return y")
    assert_found(asked, text, "def f(x):\n    y = x\n    ret‸\n\nf(1)\n", "urn y")
    assert_found(asked, text, "def f(x):\n  y‸\n\nf(1)\n", [])


def test_across_lines_of_a_crlf_document() -> None:
    asked, text = "def f(x):‸\r\nf(1)\r\n", "\r\n    y = x\r\n    return y"
    assert_found(asked, text, asked, text)
    assert_found(asked, text, "def f(x):\r\n    y = ‸\r\nf(1)\r\n", "x\r\n    return y")


@pytest.mark.parametrize(
    "now",
    [
        "import sys\ndef f():\n    x = ‸\n    return x\n",  # a changed line above
        "import os\n\ndef f():\n    x = ‸\n    return x\n",  # one more line above
        "import os\ndef f():\n    x = ‸1\n    return x\n",  # another rest of the line
        "import os\ndef f():\n    x = ‸\n    return y\n",  # another line below
        "import os\ndef f():\n    x = ‸\n",
        "import os\ndef f():\n   x = ‸\n    return x\n",
    ],
)
def test_another_context_misses(now: str) -> None:
    assert_found("import os\ndef f():\n    x = ‸\n    return x\n", "call(1)", now, [])


def test_an_edit_far_above_that_keeps_the_line_number_hits() -> None:
    far = "value = compute(argument)\n" * 40
    assert_found(f"a\n{far}x = ‸", "call(1)", f"b\n{far}x = ca‸", "ll(1)")


@pytest.mark.parametrize(
    ("asked", "text", "now", "expected"),
    [
        ("x = ‸", "call(a, b) + 1", "x = call(‸)", "a, b"),
        ("x = ‸", "call(a, b) + 1", "x = call(a, b)‸", " + 1"),
        ("x = ‸", "f([g(1), 2], 3)", "x = f([‸])", "g(1), 2"),
        ("f(‸)", 'name="a(b", c=1', 'f(name="‸")', "a(b"),
        ("x = ‸;", "call(a)", "x = call(‸);", "a"),
        ("x = ‸", "call() + 1", "x = call(‸)", []),
        ("x = ‸", "call(a)", "x = call(‸]", []),
        ("x = ‸", "f(a,\n  b)", "x = f(‸)", "a,"),
    ],
)
def test_closers_typed_by_the_editor(asked: str, text: str, now: str, expected: str) -> None:
    assert_found(asked, text, now, expected)


def test_a_line_longer_than_the_budget() -> None:
    long = "x" * 20_000
    assert_found(long + MARK, "abc", long + "a" + MARK, "bc")


# --- reasons ------------------------------------------------------------------------------------


def assert_reason(reason: Reason, now: str, age: float, expected: Reason | None) -> None:
    cache = SuggestionCache()
    cache.put(URI, context_of("x = ‸"), reason, 0.0)
    assert cache.get(URI, context_of(now), age) == expected


@pytest.mark.parametrize("reason", list(Reason))
def test_only_reasons_that_lie_in_the_place_are_kept(reason: Reason) -> None:
    assert_reason(reason, "x = ‸", 1.0, reason if reason in LASTING else None)


def test_a_reason_is_for_that_very_place_and_moment() -> None:
    assert_reason(Reason.BLANK, "x = a‸", 1.0, None)
    assert_reason(Reason.BLANK, "x = ‸)", 1.0, None)
    assert_reason(Reason.BLANK, "x = ‸", 3.0, None)


def test_a_request_by_hand_is_not_answered_by_a_quick_guess() -> None:
    cache, context = SuggestionCache(), context_of("x = ‸")
    cache.put(URI, context, suggestions("quick"), 0.0)
    assert cache.get(URI, context, 1.0, thorough=True) is None
    cache.put(URI, context, suggestions("one", "two"), 2.0, thorough=True)
    for thorough in (True, False):
        assert cache.get(URI, context, 3.0, thorough=thorough) == suggestions("one", "two")


# --- bounds -------------------------------------------------------------------------------------


def texts_of(outcome: object) -> list[str]:
    assert isinstance(outcome, tuple)
    return [suggestion.text for suggestion in outcome]


def test_the_newest_answer_for_a_place_counts() -> None:
    cache, context = SuggestionCache(), context_of("x = ‸")
    cache.put(URI, context, suggestions("old"), 0.0)
    cache.put(URI, context, suggestions("new"), 1.0)
    assert texts_of(cache.get(URI, context, 2.0)) == ["new"]
    cache.put(URI, context_of("x = n‸"), suggestions("ewer"), 2.0)
    assert texts_of(cache.get(URI, context_of("x = ne‸"), 3.0)) == ["wer"]


def test_old_answers_are_not_given() -> None:
    cache, context = SuggestionCache(max_age_s=60), context_of("x = ‸")
    cache.put(URI, context, suggestions("a"), 0.0)
    assert cache.get(URI, context, 60.0) is not None
    assert cache.get(URI, context, 60.1) is None


def places(count: int) -> list[str]:
    return ["\n" * number + "x = ‸" for number in range(count)]


@pytest.mark.parametrize(
    ("cache", "kept"),
    [(SuggestionCache(max_entries=3), 3), (SuggestionCache(max_characters=99), 4)],
)
def test_the_oldest_leave_when_there_are_too_many(cache: SuggestionCache, kept: int) -> None:
    contexts = [context_of(text) for text in places(8)]
    for context in contexts:
        cache.put(URI, context, suggestions("a" * 13), 0.0)
    found = [context for context in contexts if cache.get(URI, context, 1.0)]
    assert found == contexts[-kept:]


def test_one_answer_larger_than_the_cache_is_not_kept() -> None:
    cache, context = SuggestionCache(max_characters=99), context_of("x = ‸")
    cache.put(URI, context, suggestions("a" * 100), 0.0)
    assert cache.get(URI, context, 1.0) is None


def test_a_closed_document_is_forgotten_and_the_others_are_not() -> None:
    cache, context = SuggestionCache(), context_of("x = ‸")
    for uri in (URI, "file:///other"):
        cache.put(uri, context, suggestions("a"), 0.0)
    cache.forget(URI)
    assert cache.get(URI, context, 1.0) is None
    assert cache.get("file:///other", context, 1.0) is not None


def test_a_full_cache_answers_quickly() -> None:
    cache = SuggestionCache()
    body = "    value = compute(argument)\n" * 200
    for number in range(64):
        there = context_of(f"{body}    item_{number} = {MARK}\n{body}")
        cache.put(URI, there, suggestions("call(1,\n  2)"), 0.0)
        missing = context_of(f"{body}{body[:40]}{MARK}\n{body}")

    def once() -> float:
        begin = time.perf_counter()
        assert cache.get(URI, missing, 1.0) is None
        return time.perf_counter() - begin

    assert min(once() for _ in range(50)) < 0.0002  # 0.03 ms here
