"""Characters that no editor should get from a model."""

from __future__ import annotations

import re

# Broken characters: what follows one is not what the model meant. Half surrogates can't be sent.
_BROKEN = re.compile("[\ufffd\ud800-\udfff]")
# Control characters, zero-width ones and those that reverse the reading direction: text that isn't
# what it looks like. Tab, newline, form feed (Python and GNU C use it) and joiners stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]"
)


def without_noise(text: str) -> str:
    """The text up to the first broken character, without the invisible ones."""
    if broken := _BROKEN.search(text):
        text = text[: broken.start()]
    return _INVISIBLE.sub("", text)
