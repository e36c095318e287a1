from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marked import MARK, context_of, place

from codegeex_lsp.completion import context as contexts
from codegeex_lsp.completion.context import refusal
from codegeex_lsp.config.settings import CompletionSettings, Settings
from codegeex_lsp.text.documents import Position, Snapshot
from model_runtime.wire.protocol import Reason

# --- cutting ------------------------------------------------------------------------------------


def numbered(count: int) -> list[str]:
    return [f"line {number:04d}\n" for number in range(count)]  # ten characters each


def test_a_small_document_is_sent_whole() -> None:
    context = context_of("import os\n\ndef f(a):\n    return ‸a\n\n\nf(1)\n")
    assert context.prefix == "import os\n\ndef f(a):\n    return "
    assert context.suffix == "a\n\n\nf(1)\n"
    assert (context.line_before, context.line_after) == ("    return ", "a")
    assert context.indentation == "    "
    assert context.lines_below == ("f(1)",)
    assert context.next_line == "f(1)"
    assert context.mid_line
    assert not context.at_line_start
    assert context.language is not None
    assert context.language.name == "Python"


def test_an_empty_document() -> None:
    context = context_of("‸", "")
    assert (context.prefix, context.suffix, context.newline) == ("", "", "\n")
    assert context.at_line_start
    assert not context.mid_line
    assert context.next_line is None
    assert context.language is None


@pytest.mark.parametrize(
    ("text", "newline"),
    [
        ("a\r\nb‸\r\nc", "\r\n"),
        ("a\r\nb‸", "\r\n"),
        ("a\rb‸\rc", "\r"),
        ("a\nb‸", "\n"),
        ("a\r\nb‸\nc", "\n"),
    ],
)
def test_line_ends_are_the_models_inside_and_the_documents_outside(text: str, newline: str) -> None:
    context = context_of(text)
    assert context.newline == newline
    assert context.prefix == "a\nb"
    assert "\r" not in context.suffix + context.line_after + "".join(context.lines_below)


def test_both_sides_keep_to_their_share_and_are_cut_at_lines() -> None:
    lines = numbered(400)
    context = context_of("".join(lines[:200]) + MARK + "".join(lines[200:]), budget=1000)
    assert context.prefix.startswith("line 0128\n")  # 75 lines fit, from 125; 128 is 8 * 16
    assert len(context.prefix) <= 750
    assert context.suffix == "".join(lines[200:225])


def test_the_start_holds_still_while_one_types() -> None:
    lines = numbered(200)
    starts: list[str] = []
    for extra in range(64):
        typed = "".join(numbered(extra)) + "x = call(argument" + MARK
        starts.append(context_of("".join(lines) + typed, budget=1000).prefix[:10])
    assert len(set(starts)) <= 64 // 16 + 1


def test_a_small_budget_still_sends_half_of_what_fits() -> None:
    lines = numbered(100)
    for cursor in range(20, 100):
        text = "".join(lines[:cursor]) + MARK
        assert len(context_of(text, budget=160).prefix) >= 60  # 12 lines of 10 fit


def test_a_line_longer_than_the_budget_is_cut_in_strides() -> None:
    starts: set[int] = set()
    for length in range(10_000, 10_100):
        context = context_of("x" * length + MARK + "y" * 10_000, budget=1000)
        assert 560 <= len(context.prefix) <= 750
        assert len(context.suffix) == 250
        starts.add(length - len(context.prefix))
    assert len(starts) <= 2


@given(st.text(alphabet="ab \n\r\t", max_size=300), st.integers(0, 300), st.integers(0, 400))
def test_prefix_and_suffix_are_what_surrounds_the_cursor(text: str, at: int, budget: int) -> None:
    at = min(at, len(text))
    if text[at - 1 : at + 1] == "\r\n":
        at -= 1
    snapshot, position = place(text[:at] + MARK + text[at:])
    context = contexts.cut(snapshot, position, budget, None)
    assert len(context.prefix) + len(context.suffix) <= budget
    assert _unix(text[:at]).endswith(context.prefix)
    assert _unix(text[at:]).startswith(context.suffix)
    if len(text) * 4 <= budget:
        assert (context.prefix, context.suffix) == (_unix(text[:at]), _unix(text[at:]))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(
    ("line", "count"),
    [("    value = compute(argument)\n", 10_000), ("\n", 1_000_000), ("x" * 10_000_000, 1)],
)
def test_the_size_of_the_document_does_not_matter(line: str, count: int) -> None:
    size = len(line) * count
    snapshot = Snapshot("file:///big", 1, "python", [*[line] * count, ""], size)
    middle = Position(count // 2, len(line) // 2)
    settings = Settings(completion=CompletionSettings(max_file_size=64 * 1024 * 1024))

    def once() -> float:
        begin = time.perf_counter()
        refusal(snapshot, middle, settings, invoked=False)
        contexts.cut(snapshot, middle, 6000, None)
        return time.perf_counter() - begin

    # 0.04 to 0.25 ms here (6000 empty lines are the worst); reading it all would take 10 ms.
    assert min(once() for _ in range(20)) < 0.002


# --- refusing -----------------------------------------------------------------------------------

DEFAULTS = Settings()


def assert_refusal(
    text: str,
    expected: Reason | None,
    *,
    invoked: bool = False,
    settings: Settings = DEFAULTS,
    language_id: str = "python",
) -> None:
    snapshot, position = place(text, language_id)
    assert refusal(snapshot, position, settings, invoked=invoked) == expected


def completion(**changes: Any) -> Settings:
    return replace(DEFAULTS, completion=replace(DEFAULTS.completion, **changes))


def test_turned_off() -> None:
    for invoked in (False, True):
        assert_refusal("x‸", Reason.DISABLED, settings=Settings(enabled=False), invoked=invoked)
    assert_refusal("x‸", Reason.DISABLED, settings=completion(automatic=False))
    assert_refusal("x‸", None, settings=completion(automatic=False), invoked=True)


def test_a_language_can_be_named_either_way() -> None:
    for name in ("cpp", "C++", "c++", "CPP"):
        off = completion(disabled_languages=("sql", name))
        assert_refusal(
            "x‸", Reason.LANGUAGE_DISABLED, settings=off, language_id="cpp", invoked=True
        )
        assert_refusal("x‸", None, settings=off, language_id="c")
    off = completion(disabled_languages=("unheard-of",))
    assert_refusal("x‸", Reason.LANGUAGE_DISABLED, settings=off, language_id="unheard-of")


def test_files_that_are_no_place_for_suggestions() -> None:
    assert_refusal("x" * 2000 + "‸", Reason.FILE_TOO_LARGE, settings=completion(max_file_size=1999))
    assert_refusal("x" * 2000 + "‸", None, settings=completion(max_file_size=2000))
    assert_refusal("\x7fELF\0\0\n‸", Reason.BINARY, invoked=True)
    assert_refusal("\0" + "\n" * 100 + "x‸", None)


@pytest.mark.parametrize("blank", ["‸", "\n\n  ‸\n"])
def test_a_blank_file_is_not_worth_a_model_unless_asked(blank: str) -> None:
    assert_refusal(blank, Reason.BLANK)
    assert_refusal(blank, None, invoked=True)


@pytest.mark.parametrize(
    "text",
    [
        "def f(‸):",
        "def f(‸",
        'print("‸")',
        "x = {‸};",
        "if (x‸) {",
        "f(‸ ), ",
        "<div>‸</div>",
        "<a href='‸'></a></p>",
        "/* ‸ */",
        "<!-- ‸ -->",
        "x ‸\r\n",
    ],
)
def test_what_editors_type_themselves_may_follow(text: str) -> None:
    assert_refusal(text, None)


@pytest.mark.parametrize(
    "text", ["ret‸urn", "x = ‸y", "‸import os", "f(‸a)", "x = ‸  # why", "f(‸) + 1", "if ‸x:"]
)
def test_code_after_the_cursor_needs_asking(text: str) -> None:
    assert_refusal(text, Reason.MIDDLE_OF_WORD)
    assert_refusal(text, None, invoked=True)


def test_a_long_rest_of_the_line_is_judged_quickly() -> None:
    begin = time.perf_counter()
    assert_refusal("x‸" + ") " * 500_000 + "y", None)  # only the reach is looked at
    assert_refusal("x‸" + "</a" * 1000, Reason.MIDDLE_OF_WORD)
    assert time.perf_counter() - begin < 1
