"""Where a text ends. Every case is pushed whole, by character and in every pair of pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_runtime.decoding.stopping import Finish, StoppingText, StopRules

PLENTY = 10_000


def pushed(pieces: list[str], rules: StopRules) -> tuple[str, Finish | None, str]:
    """The text, how it finished and what was shown, after pushing until it is finished."""
    stopping = StoppingText(rules)
    shown = ""
    for piece in pieces:
        if stopping.finish is None:
            shown += stopping.push(piece)
    if stopping.finish is None:
        shown += stopping.end(Finish.END)
    return stopping.text, stopping.finish, shown


def assert_ended(text: str, expected: str, finish: Finish, **rules: object) -> None:
    stop_rules = StopRules(PLENTY, **rules)  # type: ignore[arg-type]
    cuts = [[text], list(text), *([text[:i], text[i:]] for i in range(1, len(text)))]
    for pieces in cuts:
        assert pushed(pieces, stop_rules) == (expected, finish, expected), pieces


@pytest.mark.parametrize(
    ("text", "max_lines", "expected", "finish"),
    [
        ("foo()\nbar", 1, "foo()", Finish.LINES),
        ("foo()", 1, "foo()", Finish.END),
        ("\nfoo()\nbar", 1, "\nfoo()", Finish.LINES),
        ("\n  \n\tfoo()\nbar", 1, "\n  \n\tfoo()", Finish.LINES),
        ("a\n\n\nb\nc\n", 2, "a\n\n\nb", Finish.LINES),
        ("a\r\nb\r\nc", 2, "a\r\nb", Finish.LINES),
        ("a\rb\nc", 1, "a\rb", Finish.LINES),
        ("a\nb\nc", 0, "a\nb\nc", Finish.END),
        ("\n\n", 1, "\n\n", Finish.END),
        ("", 1, "", Finish.END),
    ],
)
def test_lines_with_something_in_them_are_counted(
    text: str, max_lines: int, expected: str, finish: Finish
) -> None:
    assert_ended(text, expected, finish, max_lines=max_lines)


@pytest.mark.parametrize(
    ("text", "stop", "expected", "finish"),
    [
        ("a = 1\ndef f", ("\ndef",), "a = 1", Finish.STOP),
        ("a\n\n\nb", ("\n\n",), "a", Finish.STOP),
        ("aab", ("ab",), "a", Finish.STOP),
        ("ababac!", ("abac",), "ab", Finish.STOP),
        ("xyz", ("z", "y"), "x", Finish.STOP),
        ("\nde", ("\ndef",), "\nde", Finish.END),
        ("text", ("",), "text", Finish.END),
        ("stop here", ("stop",), "", Finish.STOP),
    ],
)
def test_stop_strings_end_the_text_and_are_no_part_of_it(
    text: str, stop: tuple[str, ...], expected: str, finish: Finish
) -> None:
    assert_ended(text, expected, finish, stop=stop)


@pytest.mark.parametrize(
    ("text", "expected", "finish"),
    [
        ("a # b\n", "a ", Finish.STOP),
        ("a\n# b", "a", Finish.LINES),
    ],
)
def test_of_two_ends_the_first_counts(text: str, expected: str, finish: Finish) -> None:
    assert_ended(text, expected, finish, stop=("# b",), max_lines=1)


def test_text_that_may_become_a_stop_string_is_held_back() -> None:
    stopping = StoppingText(StopRules(PLENTY, stop=("END",)))
    assert stopping.push("xE") == "x"
    assert stopping.push("N") == ""
    assert stopping.push("X") == "ENX"
    assert stopping.text == "xENX"


def test_length_counts_tokens_and_gives_what_was_held() -> None:
    stopping = StoppingText(StopRules(3, stop=("END",)))
    assert stopping.push("a") == "a"
    assert stopping.push("") == ""
    assert stopping.push("EN") == "EN"
    assert (stopping.finish, stopping.tokens, stopping.text) == (Finish.LENGTH, 3, "aEN")


def test_the_last_token_may_still_hold_a_stop_string() -> None:
    stopping = StoppingText(StopRules(1, stop=("b",)))
    assert stopping.push("ab") == "a"
    assert stopping.finish is Finish.STOP


@given(st.text("ab\n\r ", max_size=40), st.integers(0, 3), st.data())
def test_pieces_never_change_the_result(text: str, max_lines: int, data: st.DataObject) -> None:
    stop = tuple(data.draw(st.lists(st.text("ab\n\r ", min_size=1, max_size=4), max_size=2)))
    rules = StopRules(PLENTY, max_lines=max_lines, stop=stop)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, finish, _ = pushed([text], rules)
    assert pushed(pieces, rules)[:2] == (whole, finish)
    assert text.startswith(whole)
    assert not any(word in whole for word in stop)
