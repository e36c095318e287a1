"""A docstring, or the comment above a definition, as each language's tools read it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codegeex_lsp.actions import answers, comments
from codegeex_lsp.actions.passage import Passage, indentation_of
from codegeex_lsp.actions.plan import Change, Plan, Question, Refusal
from codegeex_lsp.actions.portions import portions, units
from codegeex_lsp.text.languages import Language
from model_runtime.wire.protocol import Task

QUOTES = '"""'
ONE_STEP = "    "


@dataclass(frozen=True, slots=True)
class Marks:
    """What goes around and before the lines of a comment; `opener` and `closer` on lines alone."""

    opener: str
    line: str
    closer: str


_JAVADOC = Marks("/**", " * ", " */")

# What is not here is documented by its plain line comments.
_MARKS = {
    "C++": _JAVADOC,
    "Java": _JAVADOC,
    "JavaScript": _JAVADOC,
    "C": _JAVADOC,
    "PHP": _JAVADOC,
    "TypeScript": _JAVADOC,
    "Objective-C": _JAVADOC,
    "Objective-C++": _JAVADOC,
    "Scala": _JAVADOC,
    "Kotlin": _JAVADOC,
    "Cuda": _JAVADOC,
    "CSS": Marks("/*", " * ", " */"),
    "HTML": Marks("<!--", "  ", "-->"),
    "C#": Marks("/// <summary>", "/// ", "/// </summary>"),
    "Rust": Marks("", "/// ", ""),
    "R": Marks("", "#' ", ""),
    "Fortran": Marks("", "!> ", ""),
    "Pascal": Marks("", "/// ", ""),
}


def plan(passage: Passage, language: Language, limit: int) -> Plan:
    """For the first definition. Raises Refusal when it has a docstring or is too long."""
    first = next(units(portions(passage, limit)[0]))
    if language.name == "Python" and _has_docstring(first):
        raise Refusal("This definition has a docstring already; remove it to get a new one.")
    return _documented(first, language)


def _documented(passage: Passage, language: Language) -> Plan:
    answer = (yield Question(Task.DOCSTRING, code=passage.code))[0]
    text = description(answer, language)
    if not text:
        raise Refusal("The model wrote no description; try a smaller piece of code.")
    if language.name == "Python":
        below = passage.first + _header_end(passage.lines) + 1
        lead = _body_indentation(passage, below - passage.first)
        return Change(passage, below, below - 1, tuple(lead + x for x in in_quotes(text)))
    lead = indentation_of(passage.lines[0])
    lines = tuple((lead + line).rstrip() for line in as_comment(text, language))
    return Change(passage, passage.first, passage.first - 1, lines)


def description(answer: str, language: Language) -> str:
    """What an answer says, without quotes, fences and comment marks."""
    text = answers.code(answer).strip()
    if QUOTES in text:
        text = max(text.split(QUOTES)[:2], key=len)
    lines = [_said(line.strip(), language) for line in text.strip().split("\n")]
    return "\n".join(lines).strip()


def in_quotes(text: str) -> list[str]:
    """A Python docstring; text in several lines has the quotes below it."""
    quote = f"r{QUOTES}" if "\\" in text else QUOTES
    first, *others = text.replace(QUOTES, "'''").split("\n")
    if not others:
        return [f"{quote}{first}{' ' if first.endswith(chr(34)) else ''}{QUOTES}"]
    return [quote + first, *others, QUOTES]


def as_comment(text: str, language: Language) -> list[str]:
    """The comment above a definition."""
    marks = _MARKS.get(language.name)
    if marks is None:
        return comments.commented(text, language)
    inner = comments.without_closer(text, marks.closer.strip() if marks.opener else "")
    body = [marks.line + line for line in inner.split("\n")]
    return [*filter(None, [marks.opener]), *body, *filter(None, [marks.closer])]


def _said(line: str, language: Language) -> str:
    if re.fullmatch(r"/?\*+/?|/// </?summary>|<!--|-->", line):
        return ""
    if line.startswith("* "):
        return line[2:]
    said = comments.words(line, language)
    return line if said is None else said


def _header_end(lines: list[str]) -> int:
    """The line of a Python definition with the colon that opens its body."""
    depth = 0
    for number, line in enumerate(lines):
        code = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line)
        depth += sum(code.count(one) for one in "([{") - sum(code.count(one) for one in ")]}")
        if depth <= 0 and code.rstrip().endswith(":") and not code.lstrip().startswith("@"):
            return number
    raise Refusal("There is no definition in the selection that a docstring could go into.")


def _body_indentation(passage: Passage, below: int) -> str:
    following = (line for line in passage.lines[below:] if line.strip())
    body = next(following, None)
    if body is not None:
        return indentation_of(body)
    step = "\t" if passage.tabbed else ONE_STEP
    return indentation_of(passage.lines[0]) + step


def _has_docstring(passage: Passage) -> bool:
    lines = passage.lines
    following = (line.strip() for line in lines[_header_end(lines) + 1 :] if line.strip())
    return bool(re.match(r"[rRuU]?(\"\"\"|'''|\"|')", next(following, "")))
