"""Globs as editors write them, for `codegeex.exclude`: "**/*.pem", "vault", "*.{key,crt}".

They are read as the patterns of an ignore file, which say more than an editor's: a name without a
slash means files and folders anywhere, a folder means all in it. Braces are opened, capital and
small letters are the same. Time is bounded, as a project may bring such settings along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from codegeex_lsp.exclusion.patterns import Patterns

# "{a,b}{c,d}..." doubles with each pair; so many of one glob count.
MOST_OPENED = 256


class Globs:
    """Those of one list, in any order."""

    def __init__(self, globs: Iterable[str]) -> None:
        lines = [line for glob in globs for one in _opened(glob) if (line := _line(one))]
        self._patterns = Patterns("\n".join(lines).encode("utf-8", "replace"))
        whole = [line for line in lines if line.startswith("/") or line[1:2] == ":"]
        self._whole_paths = Patterns("\n".join(whole).encode("utf-8", "replace"))

    def name(self, path: str, inside: Sequence[str], *, is_folder: bool) -> bool:
        """Whether one of them names `path`, whose parts below its root are `inside`, or a folder
        that it lies in."""
        whole = [part for part in path.replace("\\", "/").split("/") if part]
        return any(
            patterns and _any_of(patterns, parts, is_folder)
            for patterns, parts in ((self._patterns, inside), (self._whole_paths, whole))
        )


def _any_of(patterns: Patterns, parts: Sequence[str], is_folder: bool) -> bool:
    path = b""
    for number, part in enumerate(parts, 1):
        path += (b"/" if path else b"") + part.lower().encode("utf-8", "replace")
        if patterns.leave_out(path, is_folder=is_folder or number < len(parts)):
            return True
    return False


def _line(glob: str) -> str:
    """As an ignore file would have it: nothing in it takes a file in again, or is a comment."""
    line = glob.strip().lower().replace("\\", "/").replace("\n", " ").removeprefix("./")
    return f"\\{line}" if line.startswith(("!", "#")) else line


def _opened(glob: str) -> Iterator[str]:
    """The glob once for each choice in its braces, MOST_OPENED of them at most."""
    waiting, told = [glob], 0
    while waiting and told < MOST_OPENED:
        one = waiting.pop()
        choices = _first_choice(one)
        if choices is None:
            told += 1
            yield one
        else:
            waiting += choices[: MOST_OPENED - len(waiting)]


def _first_choice(glob: str) -> list[str] | None:
    """The globs that the first pair of braces stands for; None when it has none."""
    begin = glob.find("{")
    depth, last, parts = 0, begin + 1, []
    for place in range(max(begin, 0), len(glob) if begin >= 0 else 0):
        character = glob[place]
        depth += (character == "{") - (character == "}")
        if (character == "," and depth == 1) or (character == "}" and depth == 0):
            parts.append(glob[last:place])
            last = place + 1
        if depth == 0:
            return [f"{glob[:begin]}{part}{glob[last:]}" for part in parts]
    return None
