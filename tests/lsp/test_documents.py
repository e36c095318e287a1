"""Documents stay equal to what the client has, whatever it counts and wherever it edits."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegeex_lsp.text.documents import (
    DocumentStore,
    Edit,
    Position,
    PositionEncoding,
    Snapshot,
    UnitPosition,
    from_column,
    split_lines,
    to_column,
)

URI = "file:///a.py"
UTF8, UTF16, UTF32 = PositionEncoding
EXOTIC = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def opened(text: str, encoding: PositionEncoding = UTF16) -> DocumentStore:
    store = DocumentStore(encoding)
    store.open(URI, 1, "python", text)
    return store


def span(*places: int) -> tuple[UnitPosition, UnitPosition]:
    first_line, first_units, last_line, last_units = places
    return UnitPosition(first_line, first_units), UnitPosition(last_line, last_units)


def assert_edited(
    text: str, places: tuple[int, int, int, int], new: str, expected: str
) -> Snapshot:
    """One edit in UTF-16 units gives `expected`, with sound lines and size."""
    store = opened(text)
    after = store.change(URI, 2, [Edit(new, span(*places))])
    assert after is not None
    assert after.text() == expected
    sound(after)
    return after


def sound(snapshot: Snapshot) -> None:
    assert list(snapshot.lines) == split_lines(snapshot.text())
    assert snapshot.size == len(snapshot.text())


# --- the naive model: the whole text as a list of characters ------------------------------------


def model_lines(text: str) -> list[str]:
    return [a + b for a, b in re.findall(r"([^\r\n]*)(\r\n|\r|\n|$)", text)][
        : len(re.findall(r"\r\n|\r|\n", text)) + 1
    ]


def width(character: str, encoding: PositionEncoding) -> int:
    if encoding is UTF32:
        return 1
    if encoding is UTF16:
        return 1 + (ord(character) > 0xFFFF)
    return len(character.encode("utf-8", "surrogatepass"))


def model_offset(text: str, line: int, units: int, encoding: PositionEncoding) -> int:
    lines = model_lines(text)
    if line >= len(lines):
        return len(text)
    offset = sum(map(len, lines[:line]))
    for character in lines[line].rstrip("\r\n"):
        units -= width(character, encoding)
        if units < 0:
            break
        offset += 1
    return offset


def model_merge(text: str) -> str:
    def merged(pair: re.Match[str]) -> str:
        high, low = map(ord, pair[0])
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))

    return re.sub("[\ud800-\udbff][\udc00-\udfff]", merged, text)


PIECES = [
    "\n",
    "\r",
    "\r\n",
    "a",
    "Z ",
    "é",
    "e\u0301",
    "漢字",
    "😀",
    "👩‍👩‍👧",
    "\ud83d",
    "\ude00",
    *EXOTIC,
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
PLACES = st.tuples(st.integers(0, 7), st.integers(0, 12))
ENCODINGS = list(PositionEncoding)
RandomEdit = tuple[tuple[int, int], tuple[int, int], str]


def assert_edits(start: str, edits: Sequence[RandomEdit], encoding: PositionEncoding) -> None:
    """After each edit the store holds what the naive model holds."""
    store = opened(start, encoding)
    expected = model_merge(start)
    for version, (a, b, new) in enumerate(edits, 2):
        new = model_merge(new)
        low, high = sorted(model_offset(expected, *place, encoding) for place in (a, b))
        expected = model_merge(expected[:low] + new + expected[high:])
        after = store.change(URI, version, [Edit(new, span(*a, *b))])
        assert after is not None
        assert after.text() == expected
        assert list(after.lines) == model_lines(expected)
        assert after.size == len(expected)


@settings(max_examples=300, deadline=None)
@given(
    start=TEXTS,
    edits=st.lists(st.tuples(PLACES, PLACES, TEXTS), max_size=4),
    encoding=st.sampled_from(ENCODINGS),
)
def test_a_few_edits_equal_the_naive_model(
    start: str, edits: list[RandomEdit], encoding: PositionEncoding
) -> None:
    assert_edits(start, edits, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ten_thousand_edits_equal_the_naive_model(encoding: PositionEncoding) -> None:
    random = Random(encoding.value)

    def place() -> tuple[int, int]:
        return random.randrange(8), random.randrange(13)

    def text() -> str:
        return "".join(random.choices(PIECES, k=random.randrange(8)))

    for _ in range(85):
        assert_edits(text(), [(place(), place(), text()) for _ in range(40)], encoding)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, encoding=st.sampled_from(ENCODINGS))
def test_every_column_survives_the_round_trip(text: str, encoding: PositionEncoding) -> None:
    for line in split_lines(model_merge(text)):
        content = line.rstrip("\r\n")
        for column in range(len(content) + 1):
            units = from_column(line, column, encoding)
            assert units == sum(width(character, encoding) for character in content[:column])
            assert to_column(line, units, encoding) == column


# --- single cases -------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", EXOTIC)
def test_only_three_line_endings_count(separator: str) -> None:
    """str.splitlines() would move an edit after one of these to another place."""
    text = f"a{separator}b\nsecond\n"
    assert_edited(text, (1, 0, 1, 6), "2nd", f"a{separator}b\n2nd\n")
    assert_edited(text, (0, 2, 0, 3), "B", f"a{separator}B\nsecond\n")


def test_places_past_the_end_are_the_end() -> None:
    assert_edited("ab", (0, 9, 0, 9), "c", "abc")
    assert_edited("ab\r\ncd", (0, 9, 0, 9), "!", "ab!\r\ncd")
    assert_edited("ab\ncd", (7, 3, 7, 3), "!", "ab\ncd!")
    assert_edited("ab\n", (0, 1, 99, 99), "", "a")
    assert_edited("", (0, 5, 3, 0), "x\n", "x\n")


def test_a_range_the_wrong_way_round_is_the_same_range() -> None:
    assert_edited("one two", (0, 7, 0, 4), "2", "one 2")


def test_line_endings_meet_and_part() -> None:
    assert_edited("a\rb", (1, 0, 1, 0), "\n", "a\r\nb")
    assert_edited("a\nb", (0, 1, 0, 1), "\r", "a\r\nb")
    assert_edited("a\rb\nc", (1, 0, 1, 1), "", "a\r\nc")
    assert_edited("a\r\nb", (0, 1, 1, 0), "\r", "a\rb")
    assert_edited("a\r\nb", (0, 1, 0, 1), "\n", "a\n\r\nb")
    assert_edited("a\r\rb", (1, 0, 2, 0), "\n", "a\r\nb")
    assert_edited("a\r", (1, 0, 1, 0), "\n", "a\r\n")
    assert len(assert_edited("a\rb\nc", (1, 0, 1, 1), "", "a\r\nc").lines) == 2


def test_inside_an_emoji_means_before_it() -> None:
    assert_edited("x😀y", (0, 2, 0, 2), "!", "x!😀y")
    assert [to_column("x😀y", units, UTF16) for units in range(6)] == [0, 1, 1, 2, 3, 3]
    assert [to_column("x😀y", units, UTF8) for units in range(8)] == [0, 1, 1, 1, 1, 2, 3, 3]
    assert [to_column("x😀y", units, UTF32) for units in range(5)] == [0, 1, 2, 3, 3]


def test_halves_of_an_emoji_that_meet_are_one_character() -> None:
    after = assert_edited("a\ud83d", (0, 2, 0, 2), "\ude00b", "a😀b")
    assert after.size == 3
    assert opened("\ud83d" + "\ude00").snapshot(URI).text() == "😀"  # type: ignore[union-attr]


def test_edits_of_one_change_apply_one_after_the_other() -> None:
    store = opened("ab")
    after = store.change(URI, 2, [Edit("xyz", span(0, 0, 0, 0)), Edit("-", span(0, 3, 0, 4))])
    assert after is not None
    assert after.text() == "xyz-b"
    whole = store.change(URI, 3, [Edit("new\n"), Edit("er", span(0, 3, 0, 3))])
    assert whole is not None
    assert whole.text() == "newer\n"
    sound(whole)


def test_a_snapshot_never_changes() -> None:
    store = opened("a\nb\n")
    before = store.snapshot(URI)
    assert before is not None
    store.change(URI, 2, [Edit("zzz", span(0, 0, 1, 1))])
    assert before.text() == "a\nb\n"
    assert not store.is_current(before)


def test_versions_that_do_not_grow_lose_no_text(caplog: pytest.LogCaptureFixture) -> None:
    store = opened("a")
    store.change(URI, 5, [Edit("b", span(0, 1, 0, 1))])
    with caplog.at_level(logging.WARNING):
        store.change(URI, -5, [Edit("c", span(0, 2, 0, 2))])
        after = store.change(URI, 5, [Edit("d", span(0, 3, 0, 3))])
    assert after is not None
    assert (after.text(), after.version) == ("abcd", 5)
    assert len(caplog.records) == 1


def test_a_change_of_an_unopened_document_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    store = DocumentStore()
    assert store.change(URI, 2, [Edit("secret")]) is None
    assert store.snapshot(URI) is None
    assert "secret" not in caplog.text


def test_close_forgets_and_open_replaces() -> None:
    store = opened("a")
    second = store.open(URI, 1, "python", "b")
    assert [snapshot.text() for snapshot in store] == ["b"]
    assert store.close(URI) is second
    assert store.close(URI) is None
    assert list(store) == []


def test_windows_of_text() -> None:
    snapshot = opened("one\r\ntwo\nthree").snapshot(URI)
    assert snapshot is not None
    here = Position(1, 1)
    assert snapshot.prefix(here, 100) == "one\r\nt"
    assert snapshot.suffix(here, 100) == "wo\nthree"
    assert [snapshot.prefix(here, n) for n in (0, 1, 4)] == ["", "t", "e\r\nt"]
    assert [snapshot.suffix(here, n) for n in (0, 2, 5)] == ["", "wo", "wo\nth"]
    assert snapshot.prefix(Position(9, 9), 3) == "ree"
    assert snapshot.between(Position(2, 2), Position(0, 2)) == "e\r\ntwo\nth"
    assert snapshot.clamp(Position(0, 9)) == Position(0, 3)
    assert snapshot.clamp(Position(-1, 4)) == Position(0, 0)


# --- speed: generous bounds that a loop over characters or a re-split would break ---------------


def fastest(action: Callable[[], object], times: int = 20) -> float:
    """The quickest of `times` runs, in milliseconds: what the machine's other work can't blur."""
    measured = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        measured.append(time.perf_counter() - begin)
    return min(measured) * 1000


def test_typing_in_a_long_file_is_quick() -> None:
    store = opened("    value = compute(argument, other_argument)  # with a comment\n" * 10_000)
    edit = [Edit("x", span(5000, 8, 5000, 8))]
    assert fastest(lambda: store.change(URI, 2, edit)) < 0.5


@pytest.mark.parametrize("encoding", list(PositionEncoding))
@pytest.mark.parametrize("unit", ["x", "漢", "a😀"])
def test_typing_in_a_huge_line_is_quick(unit: str, encoding: PositionEncoding) -> None:
    store = opened(unit * (1_000_000 // len(unit)), encoding)
    edit = [Edit("y", span(0, 600_000, 0, 600_000))]
    assert fastest(lambda: store.change(URI, 2, edit), times=5) < 40
