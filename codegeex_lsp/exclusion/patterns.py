"""The patterns of ignore files, as git reads them, in time that a pattern can't drive up.

Each becomes a part of one regular expression over the bytes of a path, as git's own matcher sees
them. A star takes as little as it can and gives nothing back (an atomic group): what stands behind
it can then be found by the next star as well, so nothing is lost, and "*a*a*a*b" costs the product
of two lengths instead of backtracking. ignoring.py calls it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

_SPECIAL = frozenset(b"*?[\\")
_SLASH, _HYPHEN, _COLON = b"/-:"
_NEVER = b"(?!)"
_MARK = b"\xef\xbb\xbf"
# As git has them, ASCII alone.
_CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, (*range(32), 127))),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": " \t\r\n",
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line: `glob` is what stands between its "!" or "/" and the slash that means folders."""

    glob: bytes
    of_name: bool  # in whatever folder
    takes_in: bool
    folders_only: bool


def _either(expressions: list[bytes]) -> re.Pattern[bytes] | None:
    if not expressions:
        return None
    return re.compile(b"(?:" + b"|".join(expressions) + rb")\Z", re.DOTALL)


class _Choice:
    """Whether one of some patterns matches; most are plain names or ends, which cost nothing."""

    __slots__ = ("_ends", "_name", "_names", "_path", "_paths")

    def __init__(self, patterns: list[_Pattern]) -> None:
        plain: list[_Pattern] = []
        ends: list[bytes] = []
        globs: list[_Pattern] = []
        for one in patterns:
            if not _SPECIAL & set(one.glob):
                plain.append(one)
            elif one.of_name and one.glob[:1] == b"*" and not _SPECIAL & set(one.glob[1:]):
                ends.append(one.glob[1:])
            else:
                globs.append(one)
        self._names = frozenset(one.glob for one in plain if one.of_name)
        self._paths = frozenset(one.glob for one in plain if not one.of_name)
        self._ends = tuple(ends)
        self._name = _either([_translated(one) for one in globs if one.of_name])
        self._path = _either([_translated(one) for one in globs if not one.of_name])

    def matches(self, path: bytes, name: bytes) -> bool:
        return (
            name in self._names
            or path in self._paths
            or name.endswith(self._ends)
            or bool(self._name and self._name.match(name))
            or bool(self._path and self._path.match(path))
        )


_NONE = _Choice([])


class Patterns:
    """Those of one ignore file, or of several, the later ones over the earlier."""

    def __init__(self, *texts: bytes) -> None:
        patterns = [
            one for text in texts for line in _lines(text) if (one := _pattern(line)) is not None
        ]
        # The last line first. Of lines in a row that say the same the order makes no difference.
        self._runs: list[tuple[bool, _Choice, _Choice]] = []
        for takes_in, lines in groupby(reversed(patterns), lambda one: one.takes_in):
            kinds: tuple[list[_Pattern], list[_Pattern]] = ([], [])
            for one in lines:
                kinds[one.folders_only].append(one)
            any_kind, folders = (_Choice(kind) if kind else _NONE for kind in kinds)
            self._runs.append((takes_in, any_kind, folders))

    def __bool__(self) -> bool:
        """A file of comments would only cost time."""
        return bool(self._runs)

    def leave_out(self, path: bytes, *, is_folder: bool) -> bool | None:
        """Whether `path`, in slashes and relative, is left out; None when nothing is said of it."""
        name = path.rpartition(b"/")[2]
        for takes_in, any_kind, folders in self._runs:
            if any_kind.matches(path, name) or (is_folder and folders.matches(path, name)):
                return not takes_in
        return None


def _lines(text: bytes) -> list[bytes]:
    """As git cuts them: a line ends at a line feed, with a carriage return in front or without."""
    lines = text.removeprefix(_MARK).split(b"\n")
    return [line.removesuffix(b"\r").partition(b"\0")[0] for line in lines]


def _pattern(line: bytes) -> _Pattern | None:
    if not line or line.startswith(b"#"):
        return None
    line = _without_spaces(line)
    takes_in, line = line.startswith(b"!"), line.removeprefix(b"!")
    folders_only, line = line.endswith(b"/"), line.removesuffix(b"/")
    if not line:
        return None
    of_name = b"/" not in line
    if not of_name:
        line = line.removeprefix(b"/")
    return _Pattern(line, of_name, takes_in, folders_only)


def _without_spaces(line: bytes) -> bytes:
    """Without the spaces at its end, but for one behind a backslash."""
    bare = line.rstrip(b" ")
    escapes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + 1] if escapes % 2 else bare


# --- one pattern as git's wildmatch.c reads it --------------------------------------------------

_STAR, _FOLDERS = b"*", b"**/"  # tokens that are no expressions
_ALL = b".*"


def _translated(pattern: _Pattern) -> bytes:
    """Git compares what stands in front of the first wildcard as it is, and goes on from there: so
    "a**/b" is "**/b" behind an "a"."""
    glob = pattern.glob
    plain = next(at for at, byte in enumerate(glob) if byte in _SPECIAL)
    tokens = _tokens(glob[plain:], pattern.of_name)
    return _NEVER if tokens is None else re.escape(glob[:plain]) + _expression(tokens)


def _tokens(glob: bytes, of_name: bool) -> list[bytes] | None:
    """Expressions of single characters and the two tokens; None when it can't match anything."""
    tokens: list[bytes] = []
    at = 0
    while at < len(glob):
        found: _Found = _starred(glob, at, of_name) or _single(glob, at)
        if found is None:
            return None
        more, at = found
        tokens += more
    return tokens


# Tokens, and where the pattern goes on.
_Found = tuple[tuple[bytes, ...], int] | None


def _starred(glob: bytes, at: int, of_name: bool) -> _Found:
    """Two stars are folders where they stand alone between slashes, else they are one."""
    end = at + len(glob[at:]) - len(glob[at:].lstrip(b"*"))
    if end == at:
        return None
    alone = end - at > 1 and not of_name and (at == 0 or glob[at - 1 : at] == b"/")
    if alone and end == len(glob):
        return (_ALL,), end
    if alone and glob.startswith(b"/", end):
        return (_FOLDERS,), end + 1
    if alone and glob.startswith(b"\\/", end):
        return (_STAR, b"/", _FOLDERS), end + 2
    return (_STAR,), end


def _single(glob: bytes, at: int) -> _Found:
    byte = glob[at : at + 1]
    if byte == b"?":
        return (b"[^/]",), at + 1
    if byte == b"[":
        return _bracket(glob, at + 1)
    if byte == b"\\":
        at += 1
        byte = glob[at : at + 1]
    return ((re.escape(byte),), at + 1) if byte else None


def _bracket(glob: bytes, at: int) -> _Found:
    """`at` is behind the bracket."""
    negated = glob[at : at + 1] in (b"!", b"^")
    begin = at = at + negated
    members: set[int] = set()
    before = 0  # what a range may begin with
    while at == begin or glob[at : at + 1] != b"]":
        if at >= len(glob):
            return None
        if (end := _class_end(glob, at)) is not None:
            name = glob[at + 2 : end - 1].decode("latin-1")
            if name not in _CLASSES:
                return None
            members |= set(_CLASSES[name].encode())
            before, at = 0, end + 1
        elif before and glob[at] == _HYPHEN and glob[at + 1 : at + 2] not in (b"]", b""):
            last, at = _member(glob, at + 1)
            members |= set(range(before, last + 1))
            before = 0
        else:
            before, at = _member(glob, at)
            members.add(before)
    # A slash belongs to none.
    listed = (set(range(256)) - members if negated else members) - {_SLASH}
    every = b"".join(_ranges(listed))
    return (b"[" + every + b"]" if every else _NEVER,), at + 1


def _ranges(members: set[int]) -> Iterator[bytes]:
    """What each run of bytes is inside the brackets of an expression."""
    for _, run in groupby(enumerate(sorted(members)), lambda pair: pair[1] - pair[0]):
        listed = [byte for _, byte in run]
        yield b"\\x%02x-\\x%02x" % (listed[0], listed[-1])


def _class_end(glob: bytes, at: int) -> int | None:
    """Where the bracket is that ends the "[:name:]" which begins `at`, if one does."""
    end = glob.find(b"]", at + 2) if glob.startswith(b"[:", at) else -1
    return end if end > at + 2 and glob[end - 1] == _COLON else None


def _member(glob: bytes, at: int) -> tuple[int, int]:
    """A byte, behind a backslash or not, and where the next one is."""
    at += glob.startswith(b"\\", at)
    return (glob[at] if at < len(glob) else 0), at + 1


def _expression(tokens: list[bytes]) -> bytes:
    """The blocks between folders, each but the last as early as it can be found."""
    blocks: list[list[bytes]] = [[]]
    for token in tokens:
        if token == _FOLDERS:
            blocks.append([])
        else:
            blocks[-1].append(token)
    first, *others = blocks
    whole = _block(first, not others)
    for number, block in enumerate(others, 1):
        if number < len(others):
            whole += b"(?>(?:[^/]*/)*?" + _block(block, False) + b")"
        elif block[-1:] == [_ALL]:
            whole += b"(?>(?:[^/]*/)*?" + _block(block[:-1], False) + b")" + _ALL
        else:
            # The last one goes over so many slashes, and so begins in one place only.
            left = b"(?:[^/]*/){%d}[^/]*" % block.count(b"/")
            whole += b"(?>(?:.*/)?(?=" + left + rb"\Z))" + _block(block, True)
    return whole


def _block(tokens: list[bytes], last: bool) -> bytes:
    """What stands between its stars, each as early as it can be found, but where all must end."""
    pieces: list[bytes] = [b""]
    for token in tokens:
        if token == _STAR:
            pieces.append(b"")
        else:
            pieces[-1] += token
    first, *starred = pieces
    ending = starred.pop() if last and starred else None
    found = first + b"".join(b"(?>[^/]*?" + piece + b")" for piece in starred)
    return found if ending is None else found + b"[^/]*" + ending
