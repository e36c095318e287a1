"""Positions, edits and items arrive at the client where and as they were meant."""

from __future__ import annotations

import pytest
from lsprotocol import types

from codegeex_lsp.lsp import convert
from codegeex_lsp.lsp.convert import Replacement
from codegeex_lsp.text.documents import Edit, Position, PositionEncoding, Snapshot, UnitPosition
from codegeex_lsp.text.notebooks import Cell

UTF8, UTF16, UTF32 = PositionEncoding
SNAPSHOT = Snapshot.of("file:///a.py", 1, "python", "漢😀 val\r\nsecond\n")


def assert_position(line: int, units: int, encoding: PositionEncoding, expected: Position) -> None:
    """The client's place is `expected`, and `expected` is the client's place."""
    place = types.Position(line, units)
    assert convert.position(place, SNAPSHOT, encoding) == expected
    assert convert.wire_position(expected, SNAPSHOT, encoding) == place


@pytest.mark.parametrize(("encoding", "units"), [(UTF8, 8), (UTF16, 4), (UTF32, 3)])
def test_positions_go_both_ways(encoding: PositionEncoding, units: int) -> None:
    assert_position(0, units, encoding, Position(0, 3))
    assert_position(1, 6, encoding, Position(1, 6))
    assert_position(2, 0, encoding, Position(2, 0))


def test_places_that_do_not_exist_are_the_nearest() -> None:
    assert convert.position(types.Position(0, 99), SNAPSHOT, UTF16) == Position(0, 6)
    assert convert.position(types.Position(99, 5), SNAPSHOT, UTF16) == Position(2, 0)
    assert convert.wire_position(Position(0, 99), SNAPSHOT, UTF16) == types.Position(0, 7)


def test_a_span_is_in_order() -> None:
    area = types.Range(types.Position(1, 2), types.Position(0, 3))
    assert convert.span(area, SNAPSHOT, UTF16) == (Position(0, 2), Position(1, 2))


def test_content_changes_become_edits_and_stay_as_they_are() -> None:
    area = types.Range(types.Position(0, 3), types.Position(1, 99))
    changes = [
        types.TextDocumentContentChangePartial(range=area, text="new"),
        types.TextDocumentContentChangeWholeDocument(text="all"),
    ]
    assert convert.edits(changes) == [
        Edit("new", (UnitPosition(0, 3), UnitPosition(1, 99))),
        Edit("all"),
    ]
    assert area.end.character == 99


def test_cells() -> None:
    items = [
        types.NotebookCell(types.NotebookCellKind.Markup, "cell:1"),
        types.NotebookCell(types.NotebookCellKind.Code, "cell:2"),
    ]
    assert convert.cells(items) == (Cell("cell:1", False), Cell("cell:2", True))


def test_inline_completions_always_say_their_range() -> None:
    here = Position(0, 6)
    replacements = [
        Replacement("ue = 1\n", here, here),
        Replacement("value = 1", Position(0, 3), here),
    ]
    [insertion, replacing] = convert.inline_completions(replacements, SNAPSHOT, UTF16).items
    assert insertion.insert_text == "ue = 1\n"
    assert insertion.range == types.Range(types.Position(0, 7), types.Position(0, 7))
    assert replacing.range == types.Range(types.Position(0, 4), types.Position(0, 7))


@pytest.mark.parametrize(
    ("text", "start", "filtered_by"),
    [
        ("ue = 1", 6, "value = 1"),
        ("value = 1", 3, "value = 1"),
        ("other", 3, "valother"),
        (" = 1", 6, "val = 1"),
    ],
)
def test_menu_entries_match_the_word_at_the_cursor(text: str, start: int, filtered_by: str) -> None:
    replacement = Replacement(text, Position(0, start), Position(0, 6))
    [item] = convert.completion_list([replacement], SNAPSHOT, UTF16).items
    assert item.filter_text == filtered_by
    assert item.filter_text.startswith("val")
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.new_text == text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("return a + b", "return a + b"),
        ("\n    return a\n", "return a"),
        ("if a:\n    return b", "if a: …"),
        ("x" * 100, "x" * 60 + " …"),
        ("\n\n", ""),
    ],
)
def test_menu_labels_are_one_short_line(text: str, label: str) -> None:
    here = Position(1, 0)
    [item] = convert.completion_list([Replacement(text, here, here)], SNAPSHOT, UTF16).items
    assert item.label == label


def test_menus_keep_our_order_and_ask_again() -> None:
    here = Position(1, 0)
    menu = convert.completion_list([Replacement(c, here, here) for c in "zyx"], SNAPSHOT, UTF16)
    assert menu.is_incomplete
    assert [item.label for item in sorted(menu.items, key=lambda item: item.sort_text or "")] == [
        "z",
        "y",
        "x",
    ]
