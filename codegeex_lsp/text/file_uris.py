"""File URIs and paths, each to the other. Knows no LSP."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

# VS Code writes file:///c%3A/folder, where Windows' url2pathname finds no drive.
_DRIVE = re.compile("^/([A-Za-z])%3A", re.IGNORECASE)


def to_path(uri: str) -> str | None:
    """The absolute path that a file URI names; None for any other URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # such as "a://[b"
        return None
    if parts.scheme != "file" or not parts.path:
        return None
    host = f"//{parts.netloc}" if parts.netloc not in ("", "localhost") else ""
    return _local(host + _DRIVE.sub(r"/\1:", parts.path))


def place(uri: str) -> str:
    """The path in a URI of any kind, decoded: of the file that a cell or an old version of it
    belongs to, or a mere name as "Untitled-1"; "" for none."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    return to_path(uri) or _local(_DRIVE.sub(r"/\1:", parts.path))


def name(uri: str) -> str:
    """The last part of the path in a URI, as people read it."""
    return place(uri).replace("\\", "/").rstrip("/").rpartition("/")[2]


def of_path(path: str) -> str:
    return Path(path).as_uri()


def _local(path: str) -> str:
    if os.name == "nt":
        from urllib.request import url2pathname  # brings http and email along: 12 ms

        return url2pathname(path)
    return unquote(path)
