"""Fill in the middle: the code around a cursor as each model family was trained to see it.

Pure functions over a table. The text before the cursor is a Tail and the text after it a Head, so
that both can be cut to the budget. Other files stand before both, where the KV cache keeps them. A
token that begins every sequence ("<s>", "[gMASK]<sop>") is the tokenizer's own business.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from model_runtime.prompts.family import Family, Format, Prompt
from model_runtime.prompts.pieces import Control, Head, Piece, Tail, Text
from model_runtime.prompts.plain import template
from model_runtime.prompts.quoting import quoted
from model_runtime.wire.protocol import Generate, Snippet, Task


class Slot(Enum):
    """The user's text in a template."""

    PREFIX = "prefix"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True)
class Place:
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
class Template:
    """`order` is the prompt of one file alone.

    `file` goes before the path of each file when there are others, `repository` before the
    repository's name; a family without `file` reads the others as comments in its prefix. `after`
    ends a name or a file's text. With `path_in_prefix` the current file's path is the first line
    of its prefix, else it stands before the prompt. `blank` stands before the prefix where the
    family's tokenizer put one before every text.
    """

    order: tuple[Control | Slot, ...]
    file: Control | None = None
    repository: Control | None = None
    after: str = "\n"
    path_in_prefix: bool = False
    blank: str = ""


def _prefix_first(prefix: str, suffix: str, middle: str) -> tuple[Control | Slot, ...]:
    return Control(prefix), Slot.PREFIX, Control(suffix), Slot.SUFFIX, Control(middle)


def _suffix_first(suffix: str, prefix: str, middle: str) -> tuple[Control | Slot, ...]:
    return Control(suffix), Slot.SUFFIX, Control(prefix), Slot.PREFIX, Control(middle)


CODEGEEX4 = "codegeex4"

TEMPLATES = {
    "qwen-coder": Template(  # Qwen2.5-Coder technical report, section 3.2
        _prefix_first("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        file=Control("<|file_sep|>"),
        repository=Control("<|repo_name|>"),
    ),
    "starcoder2": Template(  # StarCoder2 paper, section 5.1
        _prefix_first("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        file=Control("<file_sep>"),
        repository=Control("<repo_name>"),
        after="",
        path_in_prefix=True,
    ),
    "granite-code": Template(_prefix_first("<fim_prefix>", "<fim_suffix>", "<fim_middle>")),
    "deepseek-coder": Template(
        # The bars are full-width and the low line is U+2581.
        _prefix_first("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>")
    ),
    "codegemma": Template(_prefix_first("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")),
    "codellama": Template(
        # SentencePiece's names hold the blank before them as U+2581.
        (
            Control("▁<PRE>", "<PRE>"),
            Slot.PREFIX,
            Control("▁<SUF>", " <SUF>"),
            Slot.SUFFIX,
            Control("▁<MID>", " <MID>"),
        ),
        blank=" ",
    ),
    "codestral": Template((Control("[SUFFIX]"), Slot.SUFFIX, Control("[PREFIX]"), Slot.PREFIX)),
    "seed-coder": Template(_suffix_first("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>")),
    "mellum": Template(
        _suffix_first("<fim_suffix>", "<fim_prefix>", "<fim_middle>"), file=Control("<filename>")
    ),
}

FORMATS = frozenset({CODEGEEX4, *TEMPLATES})


# From the tokens that one family alone has to those that several have.
MARKS = {
    "qwen-coder": ("<|fim_prefix|>", "<|file_sep|>", "<|repo_name|>"),
    "starcoder2": ("<fim_prefix>", "<file_sep>", "<repo_name>"),
    "deepseek-coder": ("<｜fim▁begin｜>",),
    "codellama": ("▁<PRE>",),
    "codestral": ("[SUFFIX]", "[PREFIX]"),
    "seed-coder": ("<[fim-suffix]>",),
    "codegemma": ("<|fim_prefix|>",),
    "granite-code": ("<fim_prefix>",),
}


def fitting(controls: Container[str]) -> str:
    """The format of a tokenizer with these control tokens, "" when it has none."""
    return next((name for name, marks in MARKS.items() if all(m in controls for m in marks)), "")


def family(format: str) -> Family:
    """A model that fills in, and continues a text of the user's own. `format` is one of FORMATS."""
    formats: dict[Task, Format] = {
        Task.COMPLETE: partial(complete, format),
        Task.TEMPLATE: template,
    }
    return Family(formats, controls(format))


def complete(format: str, request: Generate) -> Prompt:
    """What the family fills in at the request's cursor."""
    place = Place(
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
    prompt = pieces(format, Place("", "", repository="-", files=others))
    return tuple(dict.fromkeys(piece.name for piece in prompt if isinstance(piece, Control)))


def pieces(format: str, place: Place) -> tuple[Piece, ...]:
    """The prompt whose continuation is the text at the cursor.

    `format` is one of FORMATS.
    """
    if format == CODEGEEX4:
        return tuple(_joined(_codegeex4(place)))
    template = TEMPLATES[format]
    return tuple(_joined([*_surroundings(template, place), *_around_the_cursor(template, place)]))


def _surroundings(template: Template, place: Place) -> list[Piece]:
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


def _around_the_cursor(template: Template, place: Place) -> list[Piece]:
    if template.file is None:
        head = template.blank + quoted(place.files, place.language)
    else:
        head = f"{place.path}\n" if template.path_in_prefix and place.files else ""
    texts: dict[Slot, Piece] = {
        Slot.PREFIX: Tail(place.prefix, head),
        Slot.SUFFIX: Head(place.suffix),
    }
    return [texts[part] if isinstance(part, Slot) else part for part in template.order]


def _codegeex4(place: Place) -> list[Piece]:
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


def _joined(prompt: Iterable[Piece]) -> list[Piece]:
    """Neighbouring texts as one: a tokenizer may merge across them."""
    joined: list[Piece] = []
    for piece in prompt:
        last = joined[-1] if joined else None
        if isinstance(piece, Text) and isinstance(last, Text):
            joined[-1] = Text(last.text + piece.text)
        else:
            joined.append(piece)
    return joined
