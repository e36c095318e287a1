"""What a tokenizer.json says of its added tokens, and of the blank before a text. JSON alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

# SentencePiece's blank.
BLANK = "\u2581"
# Gemma's tokenizer has these as added tokens, and people write them. Its <s> is another's begin.
HTML = re.compile(
    "</?(table|caption|thead|tbody|tfoot|t[rhd]|h[1-6]|blockquote|strong|em|b|i|u|su[bp]|code)>"
)


def control_tokens(description: Mapping[str, Any]) -> dict[str, int]:
    """The ids of the control tokens of a tokenizer.json by name.

    Runs of blanks, single characters and HTML's tags may be added tokens too; those are text. What
    a family calls special doesn't say it: Qwen's <|fim_prefix|> isn't. But what it calls special is
    no text.
    """
    return {token["content"]: token["id"] for token in _controls(description)}


@dataclass(frozen=True, slots=True)
class ControlToken:
    """Whether blanks before or behind its name belong to it, and whether it is special: those that
    aren't may stand in an answer, as <think> does."""

    lstrip: bool = False
    rstrip: bool = False
    special: bool = False


def described(description: Mapping[str, Any]) -> dict[str, ControlToken]:
    """The same tokens, and what the tokenizer says of each."""
    keys = ("lstrip", "rstrip", "special")
    return {
        token["content"]: ControlToken(*(bool(token.get(key)) for key in keys))
        for token in _controls(description)
    }


def _controls(description: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for token in description["added_tokens"]:
        is_html = HTML.fullmatch(token["content"]) and not token.get("special")
        if len(token["content"].strip(f" \t\r\n{BLANK}")) > 1 and not is_html:
            yield token


@dataclass(frozen=True, slots=True)
class Opening:
    """Which texts a tokenizer puts a blank before: `each` between control tokens, else that with
    which the sequence begins; with `again` also one that begins with a blank."""

    each: bool
    again: bool

    def of(self, text: str, first: bool) -> str:
        """The blank before `text`, or nothing."""
        wanted = text and (self.each or first) and (self.again or not text.startswith(" "))
        return " " if wanted else ""


def opening(description: Mapping[str, Any]) -> Opening | None:
    """None for a tokenizer that adds nothing to a text."""
    if any(step["type"] == "Prepend" for step in steps(description.get("normalizer"))):
        return Opening(each=True, again=True)
    for step in steps(description.get("pre_tokenizer")):
        if step["type"] == "Metaspace":
            scheme = step.get("prepend_scheme", "always")
            return None if scheme == "never" else Opening(scheme == "always", again=False)
        if step["type"] == "ByteLevel" and step.get("add_prefix_space"):
            return Opening(each=True, again=False)
    return None


def is_sentencepiece(description: Mapping[str, Any]) -> bool:
    """Whether its blanks are SentencePiece's; else it is byte-level."""
    normalizing = steps(description.get("normalizer"))
    splitting = steps(description.get("pre_tokenizer"))
    replaces = any(one["type"] == "Replace" and one.get("content") == BLANK for one in normalizing)
    return replaces or any(one["type"] == "Metaspace" for one in splitting)


def begins_with(description: Mapping[str, Any]) -> list[str]:
    """The names of the tokens that its post-processor puts before every text."""
    for step in steps(description.get("post_processor")):
        match step["type"]:
            case "TemplateProcessing":
                special = (one.get("SpecialToken") for one in step["single"])
                return [one["id"] for one in takewhile(bool, special)]
            case "RobertaProcessing" | "BertProcessing":
                return [step["cls"][0]]
    return []


def steps(part: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """A normalizer's, pre-tokenizer's or post-processor's parts, which may be one alone."""
    if not part:
        return []
    kinds = ("normalizers", "pretokenizers", "processors")
    return next((list(part[kind]) for kind in kinds if kind in part), [part])
