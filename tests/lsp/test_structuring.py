"""Parameters are read strictly, capabilities forgivingly; errors name the field, never a value."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from lsprotocol import types

from codegeex_lsp.lsp.errors import InvalidParamsError
from codegeex_lsp.lsp.structuring import (
    CAPABILITIES_READ,
    build_converter,
    structure,
    without_unread_capabilities,
)

CONVERTER = build_converter()
PLACE = {"line": 1, "character": 2}


@attrs.define
class Inner:
    how_many: int
    flag: bool = False


@attrs.define
class Outer:
    some_text: str
    items: list[Inner]
    kind: types.CompletionItemKind = types.CompletionItemKind.Text


def assert_fault(raw: Any, fault: str | None, kind: type[Any] = Outer) -> None:
    """`raw` has its first fault at `fault`; None when it has none."""
    if fault is None:
        assert isinstance(structure(CONVERTER, raw, kind, "some/method"), kind)
        return
    with pytest.raises(InvalidParamsError) as refused:
        structure(CONVERTER, raw, kind, "some/method")
    place = f"'{fault}' is missing or has the wrong type"
    assert str(refused.value) == f"The parameters of some/method are no good: {place}."


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({"someText": "a", "items": []}, None),
        ({"someText": "a", "items": [{"howMany": 1.0}], "unknown": 1}, None),
        ({"items": []}, "someText"),
        ({"someText": 5, "items": []}, "someText"),
        ({"someText": None, "items": []}, "someText"),
        ({"someText": "a", "items": 7}, "items"),
        ({"someText": "a", "items": [{"howMany": 1}, {}]}, "items.1.howMany"),
        ({"someText": "a", "items": [{"howMany": "1"}]}, "items.0.howMany"),
        ({"someText": "a", "items": [{"howMany": True}]}, "items.0.howMany"),
        ({"someText": "a", "items": [{"howMany": 1.5}]}, "items.0.howMany"),
        ({"someText": "a", "items": [{"howMany": 1, "flag": "false"}]}, "items.0.flag"),
        ({"someText": "a", "items": [], "kind": 99}, "kind"),
        ({"some_text": "a", "items": []}, "someText"),
    ],
)
def test_the_first_fault_is_named(raw: Any, fault: str | None) -> None:
    assert_fault(raw, fault)


@pytest.mark.parametrize("raw", [5, "text", [1], None])
def test_what_is_no_object_does_not_fit(raw: Any) -> None:
    with pytest.raises(InvalidParamsError, match="some/method"):
        structure(CONVERTER, raw, Outer, "some/method")


def test_negative_lines_are_refused() -> None:
    raw = {"textDocument": {"uri": "a"}, "position": {"line": -1, "character": 0}}
    assert_fault(raw, "position", types.HoverParams)


def test_enums_become_enums() -> None:
    outer = structure(CONVERTER, {"someText": "a", "items": [], "kind": 2}, Outer, "m")
    assert outer.kind is types.CompletionItemKind.Method


def test_only_capabilities_that_are_looked_at_are_read() -> None:
    raw = {
        "processId": 1,
        "capabilities": {
            "textDocument": {"hover": {"contentFormat": ["markdown"]}, "codeAction": {}},
            "workspace": {"configuration": True, "symbol": {}},
            "window": {"workDoneProgress": True},
            "experimental": {"a": 1},
        },
    }
    read = without_unread_capabilities(raw)
    assert read["processId"] == 1
    assert read["capabilities"]["textDocument"] == {"codeAction": {}}
    assert read["capabilities"]["workspace"] == {"configuration": True}
    assert read["capabilities"]["window"] == {"workDoneProgress": True}
    assert "experimental" not in read["capabilities"]


def test_the_table_of_capabilities_names_real_ones() -> None:
    """A misspelt name would silently never be read."""
    sections = {
        "general": types.GeneralClientCapabilities,
        "textDocument": types.TextDocumentClientCapabilities,
        "workspace": types.WorkspaceClientCapabilities,
    }
    for section, names in CAPABILITIES_READ.items():
        if names is None:
            assert section in {"window", "notebookDocument"}
            continue
        fields = {field.name.replace("_", "") for field in attrs.fields(sections[section])}
        assert {name.lower() for name in names} <= fields
