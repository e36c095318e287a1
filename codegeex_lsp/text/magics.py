"""IPython's magics in a notebook's cells: "%%bash" makes a cell one of another language, "!pip" and
"%cd" are lines that are none of the cell's. Pure text. notebooks.py calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from codegeex_lsp.text import languages

PYTHON = "python"
# What runs the rest of its cell as Python, in one way or another.
_OF_PYTHON = frozenset(
    (
        *("time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "debug"),
        *("python", "python3", "pypy", "cython"),
    )
)
_LANGUAGE_IDS = {
    **dict.fromkeys(("bash", "sh", "script", "system", "sx", "!"), "shellscript"),
    **dict.fromkeys(("html", "svg"), "html"),
    **dict.fromkeys(("javascript", "js"), "javascript"),
    **dict.fromkeys(("sql", "bigquery"), "sql"),
    **dict.fromkeys(("R", "r"), "r"),
    "latex": "latex",
}
_CELL = re.compile(r"\s*%%(!|\w+)([^\n]*)")
_LINE = re.compile(r"\s*(?:%%?[A-Za-z!]|!)")


def language_id(language_id: str, lines: Sequence[str]) -> str:
    """What a cell is written in that the editor calls `language_id`; "" when nobody knows."""
    first = next((line for line in lines if line.strip()), "")
    magic = _CELL.match(first) if language_id == PYTHON else None
    if magic is None or magic[1] in _OF_PYTHON:
        return language_id
    if magic[1] in ("writefile", "file"):
        language = languages.of("", (magic[2].split() or [""])[-1])
        return language.ids[0] if language else ""
    return _LANGUAGE_IDS.get(magic[1], "")


def without(language_id: str, lines: Sequence[str]) -> Iterator[str]:
    """The lines of a cell but for those that are magics."""
    for line in lines:
        if language_id != PYTHON or not _LINE.match(line):
            yield line
