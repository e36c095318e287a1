"""What a prompt is made of, and how it is cut to its budget of tokens.

Knows a tokenizer and no model. The left context is cut so that the KV cache keeps hitting: while
someone types at the end of a long file, the first kept character moves in steps of a quarter of the
budget and otherwise stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_runtime.errors import BadPromptError
from model_runtime.text.surrogates import clean

if TYPE_CHECKING:
    from model_runtime.text.tokenizer import Tokenizer

# Code runs at 3 to 5 characters a token. Text is cut to this many before it is tokenized, so that
# a minified file of a megabyte on one line costs no more than a page of code.
MAX_CHARS_PER_TOKEN = 8
HEAD_SHARE = 4
STRIDE_SHARE = 4


@dataclass(frozen=True, slots=True)
class Control:
    """A control token by its name in the vocabulary.

    `written` is how its publisher writes it in a prompt, where that is not the name.
    """

    name: str
    written: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Text of which nothing may be missing."""

    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of `text`, at most a quarter of the budget."""

    text: str


@dataclass(frozen=True, slots=True)
class Tail:
    """`lead` and as much of the end of `text` as fits beside the other pieces."""

    text: str
    lead: str = ""


Piece = Control | Text | Head | Tail


def fit(pieces: Sequence[Piece], tokenizer: Tokenizer, budget: int) -> list[int]:
    """The ids of all pieces in order, at most `budget`. Lone surrogates become U+FFFD.

    Raises BadPromptError when what may not be cut doesn't fit, or leaves a Tail no token.
    """
    fixed = [_fixed(piece, tokenizer, budget) for piece in pieces]
    room = budget - sum(map(len, fixed))
    if room < 0 and not any(isinstance(piece, Tail) for piece in pieces):
        raise BadPromptError(
            f"The text is too long for this model: with what belongs to it it takes "
            f"{budget - room} tokens and {budget} fit; select less."
        )
    ids: list[int] = []
    for piece, known in zip(pieces, fixed, strict=True):
        ids += _tail(tokenizer, piece, room) if isinstance(piece, Tail) else known
    return ids


def shown(pieces: Sequence[Piece]) -> str:
    """The whole prompt as one string, as its publisher writes it: never for a tokenizer."""
    return "".join(
        piece.written or piece.name
        if isinstance(piece, Control)
        else piece.lead + piece.text
        if isinstance(piece, Tail)
        else piece.text
        for piece in pieces
    )


def _fixed(piece: Piece, tokenizer: Tokenizer, budget: int) -> list[int]:
    """The ids of everything but a Tail, which gets the room that is left."""
    match piece:
        case Control():
            return [tokenizer.control(piece.name)]
        case Text(text):
            limit = max(0, budget) * MAX_CHARS_PER_TOKEN
            return tokenizer.encode(clean(text[: limit + 1]))
        case Head(text):
            share = max(0, budget // HEAD_SHARE)
            return tokenizer.encode(clean(text[: share * MAX_CHARS_PER_TOKEN]))[:share]
        case Tail():
            return []


def _tail(tokenizer: Tokenizer, piece: Tail, room: int) -> list[int]:
    lead = clean(piece.lead)
    room_for_text = room - len(tokenizer.encode(lead))
    if room_for_text < 1:
        raise BadPromptError("The prompt's token budget is too small for any code; raise it.")
    text = clean(_last_characters(piece.text, room_for_text * MAX_CHARS_PER_TOKEN))
    all_ids = tokenizer.encode(text)
    stride = max(1, room_for_text // STRIDE_SHARE)
    dropped = _steps(len(all_ids) - room_for_text, stride)
    while True:
        kept = text[_cut(tokenizer, text, all_ids, dropped, stride) :]
        ids = tokenizer.encode(lead + kept)
        if len(ids) <= room:
            return ids
        # A text cut elsewhere than between its tokens may take a few more than they were.
        dropped += stride


def _cut(tokenizer: Tokenizer, text: str, ids: list[int], dropped: int, stride: int) -> int:
    """The character to begin at: a line's first within a stride after the tokens to drop.

    Inside a line longer than that it is the first character after them.
    """
    if dropped == 0:
        return 0
    earliest = len(tokenizer.decode(ids[:dropped]))
    latest = len(tokenizer.decode(ids[: dropped + stride]))
    newline = text.find("\n", earliest - 1, latest)
    return earliest if newline < 0 else newline + 1


def _last_characters(text: str, limit: int) -> str:
    """At most `limit` characters of the end; the cut moves in strides as the text grows."""
    return text[_steps(len(text) - limit, max(1, limit // STRIDE_SHARE)) :]


def _steps(excess: int, stride: int) -> int:
    """The smallest multiple of `stride` that takes the excess away."""
    return max(0, -(-excess // stride)) * stride
