"""What the user's own text says comes next at one cursor: weighted pieces of text, or a draft.

It looks for the last tokens before the cursor in the file itself, before and behind the cursor, and
in the client's other documents. A cursor may stand inside a token ("self.assertEq|ual"): the word
at the end of the text is left out of the search, and only places that go on with it count. It knows
no network; mixing.py joins the two. memory.py makes one for each request.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from model_runtime.ngrams import BREAK, Index, Places
from model_runtime.tokenizer import Tokenizer

# A place counts so many times more for each further token that matches, up to LONGEST of them.
BASE = 4.0
LONGEST = 16
# Places that match so many tokens less than the longest one add nothing any more.
REACH = 5
# Of equally good places the newest are looked at.
MAX_PLACES = 64
# A place in another document is worth so much less.
ELSEWHERE = 0.5

# Line ends begin a token, and what precedes them is tokenized the same with or without them.
_LINES = re.compile(r"\n*[^\n]+|\n+")
_WORD = re.compile(r"\w+\Z")


class LineTokens:
    """Encodes text line by line and remembers the lines: a changed file costs its changed lines.

    The ids are those of the text as a whole, since the tokenizer splits before every line end.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._line = lru_cache(maxsize=1 << 16)(lambda line: tuple(tokenizer.encode(line)))

    def encode(self, text: str) -> list[int]:
        return [token for line in _LINES.findall(text) for token in self._line(line)]


class Vocabulary:
    """Which tokens begin with some bytes, or are the beginning of them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.pieces = tokenizer.pieces
        self._ids = {piece: id_ for id_, piece in enumerate(self.pieces) if piece}
        self._sorted = sorted(self._ids)

    def id_of(self, piece: bytes) -> int | None:
        return self._ids.get(piece)

    def agreeing(self, begun: bytes) -> list[int]:
        """The tokens that could stand where the text goes on with `begun`."""
        found = [self._ids[begun[:n]] for n in range(1, len(begun)) if begun[:n] in self._ids]
        for place in range(bisect_left(self._sorted, begun), len(self._sorted)):
            if not self._sorted[place].startswith(begun):
                break
            found.append(self._ids[self._sorted[place]])
        return found


@dataclass(frozen=True, slots=True)
class Guess:
    """What comes next: shares that sum to one, by id of the next token.

    `match` is how many tokens the best place matches, `count` how many places spoke.
    """

    shares: dict[int, float]
    match: int
    count: int


@dataclass(frozen=True, slots=True)
class _Voice:
    """One place: its weight, and the ids that follow the cursor there begin at `position`."""

    weight: float
    index: Index
    position: int
    rest: bytes


class Recall:
    """`here` holds the file before and behind the cursor, `elsewhere` the other documents."""

    def __init__(
        self,
        lines: LineTokens,
        vocabulary: Vocabulary,
        prefix: str,
        suffix: str,
        elsewhere: Index,
        document: str = "",
    ) -> None:
        begin = prefix.rfind("\n")
        begin = len(prefix[: max(0, begin)].rstrip("\n"))
        self._line = prefix[begin:]
        self._above = lines.encode(prefix[:begin])
        self._lines = lines
        self._vocabulary = vocabulary
        # Without the word at the cursor, which would be found as going on with itself.
        before, _ = self._split(self._line)
        self._here = Index.of({"before": before, "behind": lines.encode(suffix)})
        self._elsewhere = elsewhere
        self._document = document
        self._below = _first_line(suffix)

    def guess(self, grown: str) -> Guess | None:
        """The next token behind the prefix and the text that has `grown` behind it."""
        voices = self._voices(grown)
        total = sum(voice.weight for voice, _ in voices)
        if not total:
            return None
        shares: dict[int, float] = defaultdict(float)
        for voice, _ in voices:
            shares[self._first(voice)] += voice.weight / total
        return Guess(dict(shares), max(match for _, match in voices), len(voices))

    def draft(self, grown: str, count: int) -> list[int]:
        """Up to `count` tokens of the text that most likely follows; none when there is no place."""
        voices = self._voices(grown)
        if not voices:
            return []
        weights: dict[int, float] = defaultdict(float)
        for voice, _ in voices:
            weights[self._first(voice)] += voice.weight
        first = max(weights, key=weights.__getitem__)
        best = max(
            (voice for voice, _ in voices if self._first(voice) == first),
            key=lambda voice: voice.weight,
        )
        ids = self._lines.tokenizer.encode(best.rest.decode("utf-8", "ignore")) if best.rest else []
        following = best.index.tokens[best.position : best.position + count].tolist()
        ids += following[: following.index(BREAK)] if BREAK in following else following
        return ids[:count]

    def _first(self, voice: _Voice) -> int:
        """The id of the token that the place says is next."""
        if not voice.rest:
            return int(voice.index.tokens[voice.position])
        known = self._vocabulary.id_of(voice.rest)
        if known is not None:
            return known
        return self._lines.tokenizer.encode(voice.rest.decode("utf-8", "replace"))[0]

    def _voices(self, grown: str) -> list[tuple[_Voice, int]]:
        context, begun = self._split(self._line + grown)
        at_start = not (self._line.strip() or grown.strip())
        found = [
            (self._here, self._here.places(context), 1.0),
            (
                self._elsewhere,
                self._elsewhere.places(context, leaving_out=self._document),
                ELSEWHERE,
            ),
        ]
        agreeing = self._vocabulary.agreeing(begun) if begun else []
        found = [
            (index, _going_on(index, places, agreeing) if begun else places, weight)
            for index, places, weight in found
        ]
        longest = max(
            (int(places.lengths.max()) for _, places, _ in found if len(places.lengths)), default=0
        )
        voices = []
        for index, places, weight in found:
            for position, match in _best(places, longest - REACH):
                end = self._behind(index, position, begun)
                if end is None:
                    continue
                position, rest = end
                if at_start and self._below and self._says_below(index, position, rest):
                    continue
                weight_here = weight * BASE ** min(match, LONGEST)
                voices.append((_Voice(weight_here, index, position, rest), match))
        return voices

    def _split(self, line: str) -> tuple[list[int], bytes]:
        """The context to search for, and the text at its end that isn't sure to end a token."""
        ids = self._lines.tokenizer.encode(line)
        word = _WORD.search(line)
        wanted = len(word.group().encode()) if word else 1
        begun = b""
        while ids and len(begun) < wanted and not self._piece(ids[-1]).startswith(b"\n"):
            begun = self._piece(ids.pop()) + begun
        return self._above + ids, begun

    def _behind(self, index: Index, position: int, begun: bytes) -> tuple[int, bytes] | None:
        """Past `begun` at a place: the next whole token's position and the rest of a cut one."""
        read = b""
        while len(read) < len(begun):
            token = int(index.tokens[position])
            if token == BREAK:
                return None
            read += self._piece(token)
            position += 1
        if not read.startswith(begun):
            return None
        rest = read[len(begun) :]
        if not rest and index.tokens[position] == BREAK:
            return None
        return position, rest

    def _says_below(self, index: Index, position: int, rest: bytes) -> bool:
        """Whether the place goes on with just the line that already stands below the cursor."""
        read = rest
        while b"\n" not in read and index.tokens[position] != BREAK:
            read += self._piece(int(index.tokens[position]))
            position += 1
        return read.partition(b"\n")[0].strip() == self._below

    def _piece(self, token: int) -> bytes:
        return self._vocabulary.pieces[token]


def _first_line(suffix: str) -> bytes:
    return next((line.strip().encode() for line in suffix.split("\n") if line.strip()), b"")


def _going_on(index: Index, places: Places, agreeing: Sequence[int]) -> Places:
    kept = np.isin(index.tokens[places.positions], agreeing)
    return Places(places.positions[kept], places.lengths[kept])


def _best(places: Places, least: int) -> Iterator[tuple[int, int]]:
    """Positions and lengths of the longest, the newest first among equals."""
    kept = np.flatnonzero(places.lengths >= least)
    kept = kept[np.argsort(places.lengths[kept], kind="stable")][: -MAX_PLACES - 1 : -1]
    return zip(places.positions[kept].tolist(), places.lengths[kept].tolist(), strict=True)
