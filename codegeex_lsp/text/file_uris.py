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


def of_path(path: str) -> str:
    return Path(path).as_uri()


def _local(path: str) -> str:
    if os.name == "nt":
        from urllib.request import url2pathname  # brings http and email along: 12 ms

        return url2pathname(path)
    return unquote(path)
