"""From a cursor to token ids: the prompt each model family was trained on, cut to its budget.

It knows formats and a tokenizer, not the network, its cache or the protocol; but it cuts the left
context so that the cache keeps hitting: while someone types at the end of a long file, the first
kept character moves in steps of a quarter of the budget and otherwise stays. The engine calls
render().
"""

from __future__ import annotations

import re
from enum import StrEnum

from model_runtime.errors import BadPromptError
from model_runtime.tokenizer import Tokenizer

# Code runs at 3 to 5 characters a token. Text is cut to this many before it is tokenized, so that
# a minified file of a megabyte on one line costs no more than a page of code.
MAX_CHARS_PER_TOKEN = 8
SUFFIX_SHARE = 4
STRIDE_SHARE = 4

LONE_SURROGATE = re.compile("[\ud800-\udfff]")

FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"


class PromptFormat(StrEnum):
    """CODEGEEX: tag line and prefix. NANO_FIM: tag line, suffix token and text, prefix likewise."""

    CODEGEEX = "codegeex"
    NANO_FIM = "nano-fim"

    @property
    def controls(self) -> tuple[str, ...]:
        """The control tokens a tokenizer must have for it."""
        return (FIM_PREFIX, FIM_SUFFIX) if self is PromptFormat.NANO_FIM else ()


def render(
    format: PromptFormat,
    tokenizer: Tokenizer,
    *,
    language: str,
    prefix: str,
    suffix: str,
    budget: int,
) -> list[int]:
    """At most `budget` token ids whose continuation is the text at the cursor.

    `language` is a display name or a usual key ("C++", "cpp"); an unknown one adds no tag line.
    Lone surrogates become U+FFFD. CODEGEEX has no place for the suffix and ignores it; with nothing
    to say it is the end-of-text token, since a network needs one. Raises BadPromptError when the
    budget has no room for a single token of the prefix.
    """
    tag = tag_line(language)
    if format is PromptFormat.CODEGEEX:
        return _fit_end(tokenizer, tag, prefix, budget) or [tokenizer.end_of_text]
    head = [*tokenizer.encode(tag), tokenizer.control(FIM_SUFFIX)]
    tail = _fit_start(tokenizer, suffix, budget // SUFFIX_SHARE)
    before = [*head, *tail, tokenizer.control(FIM_PREFIX)]
    return before + _fit_end(tokenizer, "", prefix, budget - len(before))


def tag_line(language: str) -> str:
    """The line the training texts began with, its newline included; "" for an unknown language."""
    tag = TAGS.get(language.lower())
    return f"{tag}\n" if tag else ""


def _fit_start(tokenizer: Tokenizer, text: str, room: int) -> list[int]:
    """The first `room` tokens."""
    return tokenizer.encode(clean(text[: room * MAX_CHARS_PER_TOKEN]))[:room]


def _fit_end(tokenizer: Tokenizer, lead: str, text: str, room: int) -> list[int]:
    """`lead` and as much of the end of `text` as fits, in `room` tokens at most."""
    room_for_text = room - len(tokenizer.encode(lead))
    if room_for_text < 1:
        raise BadPromptError("The prompt's token budget is too small for any code; raise it.")
    text = clean(_last_characters(text, room_for_text * MAX_CHARS_PER_TOKEN))
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


def clean(text: str) -> str:
    """Half an emoji can't be encoded: it becomes U+FFFD."""
    return LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


# Key (lower case) to tag line: the published table, with its oddities ("!language: Fortran").
TAGS = {
    "c": "// language: C",
    "c++": "// language: C++",
    "cpp": "// language: C++",
    "c#": "// language: C#",
    "csharp": "// language: C#",
    "css": "/* language: CSS */",
    "cuda": "// language: Cuda",
    "dart": "// language: Dart",
    "lua": "// language: Lua",
    "objectivec": "// language: Objective-C",
    "objective-c": "// language: Objective-C",
    "objective-c++": "// language: Objective-C++",
    "python": "# language: Python",
    "perl": "# language: Perl",
    "prolog": "% language: Prolog",
    "swift": "// language: swift",
    "lisp": "; language: Lisp",
    "java": "// language: Java",
    "scala": "// language: Scala",
    "tex": "% language: TeX",
    "vue": "<!--language: Vue-->",
    "markdown": "<!--language: Markdown-->",
    "html": "<!--language: HTML-->",
    "php": "// language: PHP",
    "js": "// language: JavaScript",
    "javascript": "// language: JavaScript",
    "typescript": "// language: TypeScript",
    "go": "// language: Go",
    "shell": "# language: Shell",
    "rust": "// language: Rust",
    "sql": "-- language: SQL",
    "kotlin": "// language: Kotlin",
    "vb": "' language: Visual Basic",
    "ruby": "# language: Ruby",
    "pascal": "// language: Pascal",
    "r": "# language: R",
    "fortran": "!language: Fortran",
    "lean": "-- language: Lean",
    "matlab": "% language: Matlab",
    "delphi": "{language: Delphi}",
    "scheme": "; language: Scheme",
    "basic": "' language: Basic",
    "assembly": "; language: Assembly",
    "groovy": "// language: Groovy",
    "abap": "* language: Abap",
    "gdscript": "# language: GDScript",
    "haskell": "-- language: Haskell",
    "julia": "# language: Julia",
    "elixir": "# language: Elixir",
    "excel": "' language: Excel",
    "clojure": "; language: Clojure",
    "actionscript": "// language: ActionScript",
    "solidity": "// language: Solidity",
    "powershell": "# language: PowerShell",
    "erlang": "% language: Erlang",
    "cobol": "// language: Cobol",
}
