"""Conversations as a tokenizer's own chat template writes them.

The template, Jinja that came with the model, is rendered once, when the model is chosen, with a
mark where the user's words go: by another process, jinja_worker.py, which has limits of time and
memory. What stands around the mark are control tokens and their text. So the user's words never
pass through it, and nothing in them can end a turn.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from model_runtime.errors import WeightsError
from model_runtime.prompts.pieces import Control, Piece, Tail, Text, joined
from model_runtime.text.vocabulary import ControlToken, Opening

# Private-use characters: no template holds them.
MARK = "\ue000\ue001\ue000"
WORKER = Path(__file__).with_name("jinja_worker.py")
# It needs 0.7 s on an idle computer, nearly all of it to import transformers, and then the template
# has its own limit.
PATIENCE_S = 30.0
# A client is told of a model while another thread loads it: both find the same text then.
_ONE_AT_A_TIME = threading.Lock()

Turns = Callable[[tuple[Piece, ...]], tuple[Piece, ...]]


def conversation(
    template: str,
    system: str,
    tokens: Mapping[str, str],
    controls: Mapping[str, ControlToken],
    opening: Opening | None,
) -> Turns:
    """What puts the user's words into the template's turns, behind the `system` message.

    `tokens` are the names of bos_token and its like, `controls` the tokenizer's control tokens.
    Raises WeightsError for a template that can't be used.
    """
    with _ONE_AT_A_TIME:
        text, error = _rendered(template, system, tuple(tokens.items()))
    if error:
        raise WeightsError(f"The model's chat template can't be used: {error}.")
    before, _, after = text.partition(MARK)
    around = _pieces(before, controls), _pieces(after, controls)

    def turns(asked: tuple[Piece, ...]) -> tuple[Piece, ...]:
        whole = joined((*around[0], *asked, *around[1]))
        return tuple(_opened(whole, opening))

    return turns


@lru_cache(maxsize=8)
def _rendered(template: str, system: str, tokens: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """The conversation with a MARK for the user's words, or why there is none.

    Where a family has no system message its text is before the user's words: a template may refuse
    such a message or leave it out without a word.
    """
    user = {"role": "user", "content": MARK}
    ways = (
        [{"role": "system", "content": system}, user],
        [{"role": "user", "content": f"{system}\n\n{MARK}"}],
    )
    texts, error = _worked(template, ways, dict(tokens))
    for text in texts:
        if system.strip() in text and text.count(MARK) == 1:
            return text, ""
    return "", error or "it leaves out what is said"


def _worked(
    template: str, ways: Iterable[list[dict[str, str]]], tokens: Mapping[str, str]
) -> tuple[list[str], str]:
    """What the worker made of each way that the template takes, and why it took none."""
    asked = {"template": template, "conversations": list(ways), "tokens": dict(tokens)}
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", WORKER],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return [], "it takes too long"
    except OSError as error:
        return [], f"Python can't be started for it ({error.strerror})"
    except ValueError:  # it was ended by its limits
        return [], "it takes too much time or memory"
    texts = [one["text"] for one in told if "text" in one]
    return texts, next((one["error"] for one in told if "error" in one), "")


def _pieces(text: str, controls: Mapping[str, ControlToken]) -> tuple[Piece, ...]:
    """Text that we or the template wrote, its control tokens by name.

    Blanks beside a control token are part of some.
    """
    names = sorted(controls, key=len, reverse=True)  # the longest that matches
    pattern = "|".join(
        r"\s*" * controls[name].lstrip + f"({re.escape(name)})" + r"\s*" * controls[name].rstrip
        for name in names
    )
    found: list[Piece] = []
    end = 0
    for match in re.finditer(pattern, text) if names else ():
        found += [Text(text[end : match.start()]), Control(str(match[match.lastindex or 0]))]
        end = match.end()
    found.append(Text(text[end:]))
    return tuple(piece for piece in found if piece != Text(""))


def _opened(pieces: Iterable[Piece], opening: Opening | None) -> Iterable[Piece]:
    """With the blanks that a tokenizer puts before texts: SentencePiece's does."""
    first = True
    for piece in pieces:
        if opening is not None and isinstance(piece, Text):
            yield Text(opening.of(piece.text, first) + piece.text)
        elif opening is not None and isinstance(piece, Tail):
            blank = opening.of(piece.lead + piece.text + piece.rest, first)
            yield Tail(piece.text, blank + piece.lead, piece.rest)
        else:
            yield piece
        first = False
