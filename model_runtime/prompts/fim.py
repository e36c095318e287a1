"""Fill in the middle: the code around a cursor as each model family was trained to see it.

Pure functions over a table. The text before the cursor is a Tail and the text after it a Head, so
that both can be cut to the budget. Other files stand before both, where the KV cache keeps them. A
token that begins every sequence ("<s>", "[gMASK]<sop>") is the tokenizer's own business.

What stands behind the prefix is run again for each character that is typed. So the suffix comes
first where a family was trained on that order too, and else it is short.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from functools import partial

from model_runtime.prompts.family import Family, Format, Prompt
from model_runtime.prompts.pieces import Control, Head, Piece, Tail, Text, joined
from model_runtime.prompts.plain import template
from model_runtime.prompts.quoting import quoted
from model_runtime.wire.protocol import Generate, Snippet, Task


class Part(Enum):
    """The user's text in a template."""

    PREFIX = "prefix"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor, and what is known around it.

    `path` and `repository` are names for the model to read, `files` pieces of others; `language`
    is a display name ("Python"), empty when unknown. `one_line` asks for the rest of the line only.
    """

    prefix: str
    suffix: str
    path: str = ""
    language: str = ""
    repository: str = ""
    files: tuple[Snippet, ...] = ()
    one_line: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """`order` is the prompt of one file alone.

    `file` goes before the path of each file when there are others, `repository` before the
    repository's name; a family without `file` reads the others as comments in its prefix. `after`
    ends a name or a file's text. With `path_in_prefix` the current file's path is the first line
    of its prefix, else it stands before the prompt. `blank` stands before the prefix where the
    family's tokenizer put one before every text.
    """

    order: tuple[Control | Part, ...]
    file: Control | None = None
    repository: Control | None = None
    after: str = "\n"
    path_in_prefix: bool = False
    blank: str = ""


def _prefix_first(prefix: str, suffix: str, middle: str) -> tuple[Control | Part, ...]:
    return Control(prefix), Part.PREFIX, Control(suffix), Part.SUFFIX, Control(middle)


def _suffix_first(suffix: str, prefix: str, middle: str) -> tuple[Control | Part, ...]:
    return Control(suffix), Part.SUFFIX, Control(prefix), Part.PREFIX, Control(middle)


# Suffix first as models see it that were trained on both orders (Bavarian et al. 2022, appendix D,
# the second variant): the prompt begins as one with the prefix first whose prefix is empty, and the
# prefix stands where the middle begins. BigCode's and IBM's training code writes it for half of the
# examples and tokenizes prefix and middle apart, so that a cursor within a word is nothing new.
_STARCODER = (
    Control("<fim_prefix>"),
    Control("<fim_suffix>"),
    Part.SUFFIX,
    Control("<fim_middle>"),
    Part.PREFIX,
)
# The tokens of a suffix that is run again for each character: some lines, which say what the gap
# must lead to.
MOST_BEHIND = 256

FIM, GRANITE, CODEGEEX4 = "fim", "granite-code", "codegeex4"
CODESTRAL, TEKKEN = "codestral", "tekken"
_CODESTRAL = (Control("[SUFFIX]"), Part.SUFFIX, Control("[PREFIX]"), Part.PREFIX)

TEMPLATES = {
    "qwen-coder": Layout(  # Qwen2.5-Coder technical report, section 3.2
        _prefix_first("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        file=Control("<|file_sep|>"),
        repository=Control("<|repo_name|>"),
    ),
    "starcoder2": Layout(  # StarCoder2 paper, section 5.1; bigcode-project/Megatron-LM, permute()
        _STARCODER,
        file=Control("<file_sep>"),
        repository=Control("<repo_name>"),
        after="",
        path_in_prefix=True,
    ),
    # Granite Code paper, section 4.2: both orders; ibm-granite/dolomite-engine, permute().
    GRANITE: Layout(_STARCODER),
    # Whoever has StarCoder's names and isn't known: the order in which they are always shown.
    FIM: Layout(_prefix_first("<fim_prefix>", "<fim_suffix>", "<fim_middle>")),
    "deepseek-coder": Layout(  # DeepSeek-Coder paper, section 3.1.2: prefix first alone
        # The bars are full-width and the low line is U+2581.
        _prefix_first("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>")
    ),
    # Trained on both orders, but its report shows no prompt with the suffix first.
    "codegemma": Layout(_prefix_first("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")),
    "codellama": Layout(
        # facebookresearch/codellama, infilling_prompt_tokens(suffix_first=True). On single lines it
        # is right more often in this order (Code Llama paper, table 6: 72.7 against 67.6 %), within
        # a word less often (table 14). SentencePiece's names hold the blank before them as U+2581.
        (
            Control("▁<PRE>", "<PRE>"),
            Control("▁<SUF>", " <SUF>"),
            Part.SUFFIX,
            Control("▁<MID>", " <MID>"),
            Part.PREFIX,
        ),
        blank=" ",
    ),
    CODESTRAL: Layout(_CODESTRAL, blank=" "),  # mistral_common, encode_fim
    TEKKEN: Layout(_CODESTRAL),  # the same by Mistral's tokenizer that isn't SentencePiece
    "seed-coder": Layout(_suffix_first("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>")),
    "mellum": Layout(
        _suffix_first("<fim_suffix>", "<fim_prefix>", "<fim_middle>"), file=Control("<filename>")
    ),
}

FORMATS = frozenset({CODEGEEX4, *TEMPLATES})


# Whose tokenizer has these is of the family; the first that fits counts. StarCoder's vocabulary is
# Granite's too. Mellum's has all of its names, and roles (<system>, <user> ...). So roles say
# Mellum, and <gh_stars> without them StarCoder or Granite Code, which were trained alike, if their
# network is one of theirs: others took the names over. <filename> alone says Mellum, since no other
# known prompt for filling in has it.
MARKS = (
    ("qwen-coder", ("<|fim_prefix|>", "<|file_sep|>", "<|repo_name|>")),
    ("starcoder2", ("<fim_prefix>", "<file_sep>", "<repo_name>")),
    ("deepseek-coder", ("<｜fim▁begin｜>",)),
    ("codellama", ("▁<PRE>",)),
    (CODESTRAL, ("[SUFFIX]", "[PREFIX]")),
    ("seed-coder", ("<[fim-suffix]>",)),
    ("codegemma", ("<|fim_prefix|>",)),
    ("mellum", ("<fim_prefix>", "<filename>", "</system>")),
    (GRANITE, ("<fim_prefix>", "<gh_stars>")),
    ("mellum", ("<fim_prefix>", "<filename>")),
    (FIM, ("<fim_prefix>",)),
)


GRANITES_NETWORKS = ("gpt_bigcode", "llama")


def fitting(names: Container[str], network: str, sentencepiece: bool) -> str:
    """The format of a tokenizer with these control tokens, "" when it has none."""
    found = next((format for format, marks in MARKS if all(m in names for m in marks)), "")
    if found == GRANITE and network not in GRANITES_NETWORKS:
        return FIM
    return TEKKEN if found == CODESTRAL and not sentencepiece else found


def family(format: str) -> Family:
    """A model that fills in, and continues a text of the user's own. `format` is one of FORMATS."""
    formats: dict[Task, Format] = {
        Task.COMPLETE: partial(complete, format),
        Task.TEMPLATE: template,
    }
    return Family(formats, controls(format))


def complete(format: str, request: Generate) -> Prompt:
    """What the family fills in at the request's cursor."""
    place = Cursor(
        request.prefix,
        request.suffix,
        request.path,
        request.language,
        request.repository,
        request.snippets,
        one_line=request.max_lines == 1,
    )
    return Prompt(pieces(format, place))


def controls(format: str) -> tuple[str, ...]:
    """The control tokens that its prompts have, each once."""
    others = (Snippet("", ""),)
    prompt = pieces(format, Cursor("", "", repository="-", files=others))
    return tuple(dict.fromkeys(piece.name for piece in prompt if isinstance(piece, Control)))


def pieces(format: str, place: Cursor) -> tuple[Piece, ...]:
    """The prompt whose continuation is the text at the cursor.

    `format` is one of FORMATS.
    """
    if format == CODEGEEX4:
        return tuple(joined(_codegeex4(place)))
    template = TEMPLATES[format]
    return tuple(joined([*_surroundings(template, place), *_around_the_cursor(template, place)]))


def _surroundings(template: Layout, place: Cursor) -> list[Piece]:
    """The other files, and the head of the current one."""
    if template.file is None or not place.files:
        return []
    before: list[Piece] = []
    if template.repository is not None and place.repository:
        before += [template.repository, Text(place.repository + template.after)]
    for file in place.files:
        before += [template.file, Text(f"{file.path}\n{file.text}{template.after}")]
    before.append(template.file)
    return before if template.path_in_prefix else [*before, Text(f"{place.path}\n")]


def _around_the_cursor(template: Layout, place: Cursor) -> list[Piece]:
    if template.file is None:
        head = quoted(place.files, place.language)
    else:
        head = f"{place.path}\n" if template.path_in_prefix and place.files else ""
    blank = template.blank if head or place.prefix else ""
    behind = template.order.index(Part.PREFIX) < template.order.index(Part.SUFFIX)
    texts: dict[Part, Piece] = {
        Part.PREFIX: Tail(place.prefix, blank + head),
        Part.SUFFIX: Head(place.suffix, MOST_BEHIND if behind else 0),
    }
    return [texts[part] if isinstance(part, Part) else part for part in template.order]


def _codegeex4(place: Cursor) -> list[Piece]:
    """CodeGeeX4's infilling guide: a turn of a conversation, suffix first."""
    references = "".join(
        f"###REFERENCE:\n###PATH:{file.path}\n{file.text}\n" for file in place.files
    )
    mode = "LINE" if place.one_line else "BLOCK"
    head = f"###PATH:{place.path}\n###LANGUAGE:{place.language}\n###MODE:{mode}\n"
    return [
        Control("<|user|>"),
        Text(f"\n{references}{head}"),
        Control("<|code_suffix|>"),
        Head(place.suffix),
        Control("<|code_prefix|>"),
        Tail(place.prefix),
        Control("<|code_middle|>"),
        Control("<|assistant|>"),
        Text("\n"),
    ]
