"""What a prompt is made of, and how it is cut to its budget of tokens.

Knows a tokenizer and no model. The left context is cut so that the KV cache keeps hitting: while
someone types at the end of a long file, the first kept character moves in steps of at most a
quarter of the budget and otherwise stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from model_runtime.errors import BadPromptError

if TYPE_CHECKING:
    from model_runtime.text.tokenizer import Tokenizer

# Code runs at 3 to 5 characters a token. Text is cut to this many before it is tokenized, so that
# a minified file of a megabyte on one line costs no more than a page of code.
MAX_CHARS_PER_TOKEN = 8
HEAD_SHARE = 4
STRIDE_SHARE = 4
NO_ROOM = "What is asked leaves no room for any code in this model's prompt; ask in fewer words."


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
    """The beginning of `text`: a quarter of the budget and, unless 0, `most` tokens at most."""

    text: str
    most: int = 0


@dataclass(frozen=True, slots=True)
class Tail:
    """`lead`, as much of the end of `text` as fits beside the other pieces, and `rest`."""

    text: str
    lead: str = ""
    rest: str = ""


Piece = Control | Text | Head | Tail


def fit(pieces: Sequence[Piece], tokenizer: Tokenizer, budget: int) -> list[int]:
    """The ids of all pieces in order, at most `budget`.

    Raises BadPromptError when what may not be cut doesn't fit, or leaves a Tail no token.
    """
    pieces = joined(pieces)
    fixed = [_fixed(piece, tokenizer, budget) for piece in pieces]
    room = budget - sum(map(len, fixed))
    if room < 0 and not any(isinstance(piece, Tail) for piece in pieces):
        raise BadPromptError(
            "The text is too long for this model: with what belongs to it it takes more than the "
            f"{budget} tokens that fit; select less."
        )
    ids: list[int] = []
    for piece, known in zip(pieces, fixed, strict=True):
        ids += _tail(tokenizer, piece, room) if isinstance(piece, Tail) else known
    return ids


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbouring texts as one: a tokenizer may merge across them."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        match last, piece:
            case Text(before), Text(text):
                found[-1] = Text(before + text)
            case Text(before), Tail(_, lead):
                found[-1] = replace(piece, lead=before + lead)
            case Tail(_, _, rest), Text(text):
                found[-1] = replace(last, rest=rest + text)
            case _:
                found.append(piece)
    return found


def shown(pieces: Sequence[Piece]) -> str:
    """The whole prompt as one string, as its publisher writes it: never for a tokenizer."""
    return "".join(map(_shown, pieces))


def _shown(piece: Piece) -> str:
    match piece:
        case Control(name, written):
            return written or name
        case Tail(text, lead, rest):
            return lead + text + rest
        case _:
            return piece.text


def _fixed(piece: Piece, tokenizer: Tokenizer, budget: int) -> list[int]:
    """The ids of everything but a Tail, which gets the room that is left."""
    match piece:
        case Control():
            return [tokenizer.control(piece.name)]
        case Text(text):
            return _whole(tokenizer, text, budget)
        case Head(text, most):
            share = max(0, budget // HEAD_SHARE)
            share = min(share, most) if most else share
            return tokenizer.encode(text[: share * MAX_CHARS_PER_TOKEN])[:share]
        case Tail():
            return []


def _whole(tokenizer: Tokenizer, text: str, budget: int) -> list[int]:
    """All of `text`; more ids than `budget` when it doesn't fit.

    That is seen on a part of it: more of it is read only where a token stands for more characters
    than those of code do, as in rows of blanks.
    """
    length = max(1, budget) * MAX_CHARS_PER_TOKEN
    while True:
        ids = tokenizer.encode(text[:length])
        # The last token may be another one with more text behind it.
        if length >= len(text) or len(ids) > budget + 1:
            return ids
        length *= 2


def _tail(tokenizer: Tokenizer, piece: Tail, room: int) -> list[int]:
    lead, rest = piece.lead, piece.rest
    room_for_text = room - len(_whole(tokenizer, lead, room)) - len(_whole(tokenizer, rest, room))
    if room_for_text < 1:
        raise BadPromptError(NO_ROOM)
    text = _last_characters(piece.text, room_for_text * MAX_CHARS_PER_TOKEN)
    all_ids = tokenizer.encode(text)
    stride = _stride(room_for_text)
    # A text cut elsewhere than between its tokens may take a few more than they were: then another
    # stride goes.
    for dropped in range(_steps(len(all_ids) - room_for_text, stride), len(all_ids) + 1, stride):
        kept = text[_cut(tokenizer, text, all_ids, dropped, stride) :]
        ids = tokenizer.encode(lead + kept + rest)
        if len(ids) <= room:
            return ids
    raise BadPromptError(NO_ROOM)


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
    return text[_steps(len(text) - limit, _stride(limit)) :]


def _stride(room: int) -> int:
    """A power of two, so that the room may change a little and the cut stays where it was."""
    return 1 << max(1, room // STRIDE_SHARE).bit_length() - 1


def _steps(excess: int, stride: int) -> int:
    """The smallest multiple of `stride` that takes the excess away."""
    return max(0, -(-excess // stride)) * stride
