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
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from model_runtime.recall.ngrams import BREAK, MAX_MATCH, Index, Places
from model_runtime.text.tokenizer import Tokenizer

# A place counts so many times more for each further token that matches, up to LONGEST of them.
BASE = 4.0
LONGEST = 16
# Places that match so many tokens less than the longest one add nothing any more.
REACH = 5
# Of equally good places the newest are looked at.
MAX_PLACES = 64
# A place in another document is worth so much less.
ELSEWHERE = 0.1

# Minified text and data have longer lines.
LONGEST_LINE = 500
# About 10 MB when full.
LINES_KEPT = 1 << 14

# Beginnings of words whose tokens are known, a byte for each token of the vocabulary.
WORDS_KEPT = 256

# A place whose next line is the one below the cursor counts so many times more.
LEADING = 64.0
# So far it is looked for that line.
TWO_LINES = 80

# Line ends begin a token, and what precedes them is tokenized the same with or without them.
_LINES = re.compile(r"\n*[^\n]+|\n+")
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]+")
# A token may hold one character before a word: ".open" is one, ".op" two.
_WORD = re.compile(r"[^\w\n]?\w+\Z")


class LineTokens:
    """Encodes text line by line and remembers the lines: a changed file costs its changed lines.

    The ids are those of the text as a whole, since the tokenizer splits before every line end.
    Lines longer than LONGEST_LINE are nobody's writing and are left out.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._line = lru_cache(maxsize=LINES_KEPT)(lambda line: tuple(tokenizer.encode(line)))

    def encode(self, text: str) -> list[int]:
        lines = _LINES.findall(text)
        return [token for line in lines if len(line) <= LONGEST_LINE for token in self._line(line)]

    def encode_growing(self, text: str) -> list[int]:
        """Of text whose last line grows: the others are remembered."""
        *above, last = _LINES.findall(text) or [""]
        return [*(id_ for line in above for id_ in self._line(line)), *self.tokenizer.encode(last)]

    def mostly_lines(self, text: str) -> bool:
        """Whether more than half of the text is in lines that encode() takes."""
        taken = sum(len(line) for line in _LINES.findall(text) if len(line) <= LONGEST_LINE)
        return 2 * taken > len(text)


class Vocabulary:
    """Which tokens begin with some bytes, or are the beginning of them; `line_ends` with "\\n"."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.pieces = tokenizer.pieces
        self._ids = {piece: id_ for id_, piece in enumerate(self.pieces) if piece}
        self._sorted = sorted(self._ids)
        self._agreeing: dict[bytes, npt.NDArray[np.bool_]] = {}
        self.line_ends = [id_ for id_, piece in enumerate(self.pieces) if piece.startswith(b"\n")]

    def id_of(self, piece: bytes) -> int | None:
        return self._ids.get(piece)

    def agreeing(self, begun: bytes) -> npt.NDArray[np.bool_]:
        """Whether a token could stand where the text goes on with `begun`, by its id; BREAK can't.

        np.isin() takes fifty times as long as to look it up.
        """
        if begun not in self._agreeing:
            if len(self._agreeing) == WORDS_KEPT:
                self._agreeing.clear()
            found = [self._ids[begun[:n]] for n in range(1, len(begun)) if begun[:n] in self._ids]
            for place in range(bisect_left(self._sorted, begun), len(self._sorted)):
                if not self._sorted[place].startswith(begun):
                    break
                found.append(self._ids[self._sorted[place]])
            agreeing = np.zeros(len(self.pieces) + 1, np.bool_)
            agreeing[found] = True
            self._agreeing[begun] = agreeing
        return self._agreeing[begun]


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
    """One place. There, `rest` follows the cursor and then the tokens from `position` on."""

    weight: float
    match: int
    index: Index
    position: int
    rest: bytes


class Recall:
    """`here` holds the file before and behind the cursor, `elsewhere` the other documents and
    `quoted` the pieces of files that the request brought along."""

    def __init__(
        self,
        lines: LineTokens,
        vocabulary: Vocabulary,
        prefix: str,
        suffix: str,
        elsewhere: Index,
        document: str = "",
        quoted: Index | None = None,
    ) -> None:
        begin = prefix.rfind("\n")
        begin = len(prefix[: max(0, begin)].rstrip("\n"))
        self._line = prefix[begin:][-LONGEST_LINE:]
        above = lines.encode(prefix[:begin])
        self._above = above[-MAX_MATCH:]
        self._lines = lines
        self.vocabulary = vocabulary
        # Without the word at the cursor, which would be found as going on with itself.
        word = _WORD.search(self._line)
        whole = len(word.group().encode()) if word else 1
        line, _ = self._split(lines.tokenizer.encode(self._line), whole)
        self._here = Index.of({"before": above + line, "behind": lines.encode(suffix)})
        self._elsewhere = elsewhere
        self._quoted = quoted or Index.empty()
        self._document = document
        self._below = _first_line(suffix)
        self._last: tuple[list[int], list[_Voice]] | None = None

    def guess(self, grown: Sequence[int]) -> Guess | None:
        """The next token behind the prefix and the ids that have `grown`; None without a place."""
        voices = self._voices(grown)
        total = sum(voice.weight for voice in voices)
        if not total:
            return None
        shares: dict[int, float] = defaultdict(float)
        for voice in voices:
            shares[self._first(voice)] += voice.weight / total
        return Guess(dict(shares), max(voice.match for voice in voices), len(voices))

    def draft(self, grown: Sequence[int], count: int) -> list[int]:
        """Up to `count` tokens of what most likely follows; none when there is no place."""
        voices = self._voices(grown)
        if not voices:
            return []
        weights: dict[int, float] = defaultdict(float)
        for voice in voices:
            weights[self._first(voice)] += voice.weight
        first = max(weights, key=weights.__getitem__)
        best = max(
            (voice for voice in voices if self._first(voice) == first),
            key=lambda voice: voice.weight,
        )
        following = _until_break(best.index, best.position, count)
        return [*self._encoded(best.rest), *following][:count]

    def _first(self, voice: _Voice) -> int:
        """The id of the token that the place says is next."""
        if voice.rest:
            return self._encoded(voice.rest)[0]
        return int(voice.index.tokens[voice.position])

    def _encoded(self, rest: bytes) -> list[int]:
        if not rest:
            return []
        known = self.vocabulary.id_of(rest)
        if known is not None:
            return [known]
        return self._lines.tokenizer.encode(rest.decode("utf-8", "replace"))

    def _voices(self, grown: Sequence[int]) -> list[_Voice]:
        """Asked twice behind the same ids: for a draft, and to draw what it is compared with."""
        if self._last is None or self._last[0] != grown:
            self._last = list(grown), self._look(grown)
        return self._last[1]

    def _look(self, grown: Sequence[int]) -> list[_Voice]:
        """The places that match best; where the last word has none, those of the end of it."""
        written = b"".join(map(self._piece, grown))
        text = written.decode("utf-8", "ignore")
        half = written[len(text.encode()) :]  # of a character whose other bytes are still to come
        ids = self._lines.encode_growing(self._line + text)
        word = _WORD.search(self._line + text)
        whole = len(word.group().encode()) if word else 1
        return self._speaking(text, ids, whole, half) or self._speaking(text, ids, 1, half)

    def _speaking(
        self, grown: str, ids: Sequence[int], open_bytes: int, half: bytes
    ) -> list[_Voice]:
        """The places that go on with the last `open_bytes` of the line, which has these ids."""
        closed, begun = self._split(ids, open_bytes)
        context, begun = self._above + closed, begun + half
        here = self._here.places(context)
        elsewhere = self._elsewhere.places(context, leaving_out=self._document)
        quoted = self._quoted.places(context)
        found = [
            (index, places, weight)
            for index, places, weight in (
                (self._here, here, 1.0),
                (self._elsewhere, elsewhere, ELSEWHERE),
                (self._quoted, quoted, ELSEWHERE),
            )
            if len(places.positions)
        ]
        if begun:
            agreeing = self.vocabulary.agreeing(begun)
            found = [(index, _agreeing(index, places, agreeing), w) for index, places, w in found]
        longest = max((places.longest for _, places, _ in found), default=0)
        voices = []
        for index, places, weight in found:
            for position, match in _best(places, longest - REACH):
                voice = self._voice(index, position, begun, match)
                if voice is not None and (factor := self._fits_below(voice, grown)):
                    voices.append(replace(voice, weight=voice.weight * weight * factor))
        return voices

    def _split(self, ids: Sequence[int], open_bytes: int) -> tuple[list[int], bytes]:
        """The ids without those of the text that isn't sure to end a token, and that text."""
        kept, begun = list(ids), b""
        while kept and len(begun) < open_bytes and not self._piece(kept[-1]).startswith(b"\n"):
            begun = self._piece(kept.pop()) + begun
        return kept, begun

    def _voice(self, index: Index, position: int, begun: bytes, match: int) -> _Voice | None:
        """What the place says behind `begun`, if it goes on with that."""
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
        if rest:  # the word's other pieces: the whole rest is one token more often
            while (piece := self._letters(int(index.tokens[position]))) is not None:
                rest += piece
                position += 1
        elif index.tokens[position] == BREAK:
            return None
        return _Voice(BASE ** min(match, LONGEST), match, index, position, rest)

    def _fits_below(self, voice: _Voice, grown: str) -> float:
        """0 where the place's line is the one below the cursor, more than 1 where the next is."""
        if not self._below:
            return 1.0
        following = _until_break(voice.index, voice.position, TWO_LINES)
        text = voice.rest + b"".join(map(self._piece, following))
        line, _, behind = text.partition(b"\n")
        if not self._line.strip() and (grown.encode() + line).strip() == self._below:
            return 0.0
        return LEADING if behind.lstrip().partition(b"\n")[0].rstrip() == self._below else 1.0

    def _letters(self, token: int) -> bytes | None:
        piece = b"" if token == BREAK else self._piece(token)
        return piece if _LETTERS.fullmatch(piece) else None

    def _piece(self, token: int) -> bytes:
        return self.vocabulary.pieces[token]


def _first_line(suffix: str) -> bytes:
    return next((line.strip().encode() for line in suffix.split("\n") if line.strip()), b"")


def _until_break(index: Index, position: int, count: int) -> list[int]:
    """The tokens from a position on, at most so many of the same document."""
    ids: list[int] = index.tokens[position : position + count].tolist()
    return ids[: ids.index(BREAK)] if BREAK in ids else ids


def _agreeing(index: Index, places: Places, agreeing: npt.NDArray[np.bool_]) -> Places:
    kept = agreeing[index.tokens[places.positions]]
    return Places(places.positions[kept], places.lengths[kept])


def _best(places: Places, least: int) -> Iterator[tuple[int, int]]:
    """Positions and lengths of the longest, the newest first among equals."""
    kept = np.flatnonzero(places.lengths >= least)
    kept = kept[np.argsort(places.lengths[kept], kind="stable")][: -MAX_PLACES - 1 : -1]
    return zip(places.positions[kept].tolist(), places.lengths[kept].tolist(), strict=True)
