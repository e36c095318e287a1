"""File URIs as editors write them."""

from __future__ import annotations

import warnings

import pytest

from codegeex_lsp.text import file_uris


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///c%3A/a%20b/x.py", "C:\\a b\\x.py"),
        ("file:///C:/a/x.py", "C:\\a\\x.py"),
        ("file://host/share/x.py", "\\\\host\\share\\x.py"),
    ],
)
def test_windows_drives_and_shares(uri: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        nturl2path = pytest.importorskip("nturl2path")
    monkeypatch.setattr(file_uris, "_local", nturl2path.url2pathname)
    assert file_uris.to_path(uri) == path


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "a://[b", "", "file://host"])
def test_what_is_no_file(uri: str) -> None:
    assert file_uris.to_path(uri) is None
