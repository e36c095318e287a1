"""File URIs and paths, each to the other. Knows no LSP."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def to_path(uri: str) -> str | None:
    """The absolute path that a file URI names; None for any other URI."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or not parts.path:
        return None
    host = f"//{parts.netloc}" if parts.netloc not in ("", "localhost") else ""
    return url2pathname(host + parts.path)


def of_path(path: str) -> str:
    return Path(path).as_uri()
