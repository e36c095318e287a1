"""Conversations as a tokenizer's own chat template writes them.

The template, Jinja that came with the model, is rendered once by transformers, in its sandbox, with
a mark where the user's words go; what stands around the mark are control tokens and their text. So
the user's words never pass through it, and nothing in them can end a turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

from model_runtime.errors import WeightsError
from model_runtime.prompts.pieces import Control, Piece, Text

# Private-use characters: no template holds them.
MARK = "\ue000\ue001\ue000"

Turns = Callable[[str, tuple[Piece, ...]], tuple[Piece, ...]]


def conversation(template: str, tokens: Mapping[str, str], controls: Collection[str]) -> Turns:
    """What puts a system message and the user's words into the template's turns.

    `tokens` are the names of bos_token and its like, `controls` all control tokens' names.
    """

    @cache
    def around(system: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
        before, _, after = _rendered(template, tokens, system).partition(MARK)
        return _pieces(before, controls), _pieces(after, controls)

    def turns(system: str, asked: tuple[Piece, ...]) -> tuple[Piece, ...]:
        before, after = around(system)
        return (*before, *asked, *after)

    return turns


def _rendered(template: str, tokens: Mapping[str, str], system: str) -> str:
    """The user's words are a MARK; where a family has no system message, its text is before them.

    A template may refuse such a message or leave it out without a word.
    """
    from jinja2.exceptions import TemplateError
    from transformers.utils import chat_template_utils

    render: Any = chat_template_utils.render_jinja_template
    user = {"role": "user", "content": MARK}
    ways = (
        [{"role": "system", "content": system}, user],
        [{"role": "user", "content": f"{system}\n\n{MARK}"}],
    )
    for messages in ways:
        try:
            texts, _ = render(
                [messages], chat_template=template, add_generation_prompt=True, **tokens
            )
        except TemplateError:
            continue
        text = str(texts[0])
        if system.strip() in text and text.count(MARK) == 1:
            return text
    raise WeightsError(
        "The model's chat template can't be used: it fails or leaves out what is said."
    )


def _pieces(text: str, controls: Collection[str]) -> tuple[Piece, ...]:
    """Text that we or the template wrote, its control tokens by name."""
    names = sorted(controls, key=len, reverse=True)  # the longest that matches
    parts = re.split("(" + "|".join(map(re.escape, names)) + ")", text) if names else [text]
    return tuple(Control(part) if part in controls else Text(part) for part in parts if part)
