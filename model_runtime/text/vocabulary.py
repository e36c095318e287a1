"""Which added tokens of a tokenizer.json are control tokens, and which are text. JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# SentencePiece's blank.
BLANK = "\u2581"


def control_tokens(description: Mapping[str, Any]) -> dict[str, int]:
    """The ids of the control tokens of a tokenizer.json by name.

    Runs of blanks and single characters may be added tokens too; those are text. What a family
    calls special doesn't say it: Qwen's <|fim_prefix|> isn't.
    """
    return {
        token["content"]: token["id"]
        for token in description["added_tokens"]
        if len(token["content"].strip(f" \t\r\n{BLANK}")) > 1
    }
