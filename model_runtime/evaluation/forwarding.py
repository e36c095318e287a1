"""From a function that somebody wrote anew to a body for the problem's prompt.

An answer has the whole function, with imports, helpers and parameter names of its own. The prompt's
function hands its arguments to it: in Python and JavaScript it has the answer inside, in the others
the answer follows it under another name. So a sample stays what the published format has, the text
behind the prompt. Pure text; sampling.py calls body().
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from model_runtime.evaluation.cleanup import clean
from model_runtime.evaluation.problems import Problem

# What Python's answer is made of; anything else there shows how to call it.
DECLARATIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)
RENAMED = "_answered"
# Comments and literals, whose braces don't count.
SKIPPED = (
    r"//[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`"
)
COMMENTS = re.compile(rf"(?P<comment>//[^\n]*|/\*.*?\*/)|{SKIPPED}", re.DOTALL)
BRACES = re.compile(rf"{SKIPPED}|(?P<brace>[{{}}])", re.DOTALL)
# Lines that stand in the prompt already, or that only a file's head may have.
HEADS = re.compile(
    r"^\s*(package\s+\w+|import\s*\([^)]*\)|import\s[^\n]*)\s*;?[ \t]*$", re.MULTILINE
)
INCLUDES = re.compile(r"^\s*(#[^\n]*|using\s[^\n]*;)", re.MULTILINE)
SHOWN = re.compile(r"^console\.[^\n]*\n", re.MULTILINE)
CLASS = re.compile(r"\bclass\s+Solution\b")
CALLED = re.compile(r"(\w+)\s*\(")
# Where a declaration begins a function; the last one is what is asked for.
DECLARED = {
    "python": r"^def (\w+)\(",
    "cpp": r"^\w[\w:<>,&* ]*?(\w+)\s*\(",
    "java": r"^    public [^(\n]*?(\w+)\s*\(",
    "js": r"^const (\w+) = \(",
    "go": r"^func (\w+)\(",
}


def name(problem: Problem) -> str:
    """Of the function that is asked for."""
    return _declaration(problem)[1]


def body(problem: Problem, code: str) -> str:
    """The text behind the prompt that answers with this code."""
    key = problem.language.key
    if re.search(rf"\b{name(problem)}\b", code) is None:  # it goes on where the prompt ends
        return textwrap.indent(code, "    ") if _at_the_margin(key, code) else clean(key, code)
    if key == "python":
        return _python(problem, code)
    if key == "js":
        inside = SHOWN.sub("", code)
        return f"{inside}\n  return {name(problem)}({', '.join(_arguments(problem))});\n}}\n"
    return _behind(problem, code)


def _at_the_margin(key: str, code: str) -> bool:
    return key == "python" and not code.startswith((" ", "\t"))


# --- inside the prompt's function -----------------------------------------------------------------


def _python(problem: Problem, code: str) -> str:
    inside = textwrap.indent(_declared(code, name(problem)), "    ")
    return f"{inside}\n    return {name(problem)}({', '.join(_arguments(problem))})\n"


def _declared(code: str, wanted: str) -> str:
    """Imports, functions, classes and constants. Of code that is cut, what comes before the cut."""
    lines = code.expandtabs(4).split("\n")
    while lines:
        try:
            tree = ast.parse("\n".join(lines))
        except (SyntaxError, ValueError):
            lines.pop()
            continue
        kept = [node for node in tree.body if isinstance(node, DECLARATIONS)]
        if not any(getattr(node, "name", "") == wanted for node in kept):
            break
        return "\n".join("\n".join(lines[_first(node) - 1 : node.end_lineno]) for node in kept)
    return code  # it doesn't compile, and shall not


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


# --- behind the prompt's function -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """A head, and the text from its beginning to its closing brace."""

    head: str
    text: str

    @property
    def name(self) -> str:
        found = CALLED.search(self.head)
        return found[1] if found else ""


def _behind(problem: Problem, code: str) -> str:
    wanted, key = name(problem), problem.language.key
    known = {chunk.name for chunk in _functions(problem.prompt)}
    chunks = [
        chunk
        for chunk in _functions(re.sub(rf"\b{wanted}\b", wanted + RENAMED, code))
        if chunk.name not in {"main", *known} - {""}
    ]
    asked = next((chunk for chunk in chunks if chunk.name == wanted + RENAMED), None)
    if asked is None:
        return clean(key, code)
    end = "" if key == "go" else ";"
    head = INCLUDES.sub("", asked.head).strip()
    declared = f"    {head};\n" if key == "cpp" else ""
    called = f"    return {wanted}{RENAMED}({', '.join(_arguments(problem))}){end}\n}}\n"
    rest = "".join(chunk.text for chunk in chunks)
    return f"{declared}{called}{rest}\n" + ("}\n" if key == "java" else "")


def _functions(code: str) -> list[Chunk]:
    """Without comments: what Go's imports are is found in the text."""
    bare = COMMENTS.sub(lambda found: "" if found["comment"] else found[0], code)
    return _chunks(_inside_class(HEADS.sub("", bare)))


def _chunks(code: str) -> list[Chunk]:
    """Each outermost pair of braces with what comes before it; of code that is cut, the whole."""
    found, depth, start, opened = [], 0, 0, 0
    for place, brace in _braces(code):
        depth += 1 if brace == "{" else -1
        if depth == 1 and brace == "{":
            opened = place
        elif depth == 0:
            found.append(Chunk(code[start:opened], code[start : place + 1]))
            start = place + 1
        elif depth < 0:
            break
    return found


def _inside_class(code: str) -> str:
    """What Java's Solution holds, as far as it goes; other code as it is."""
    found = CLASS.search(code)
    if found is None:
        return code
    opened = code.find("{", found.end())
    depth = 0
    for place, brace in _braces(code):
        if place >= opened:
            depth += 1 if brace == "{" else -1
            if depth == 0:
                return code[opened + 1 : place]
    return code[opened + 1 :]


def _braces(code: str) -> Iterator[tuple[int, str]]:
    for found in BRACES.finditer(code):
        if found["brace"]:
            yield found.start(), found["brace"]


# --- what the prompt's function was given ---------------------------------------------------------


def _declaration(problem: Problem) -> re.Match[str]:
    found = re.finditer(DECLARED[problem.language.key], problem.declaration, re.MULTILINE)
    return list(found)[-1]


def _arguments(problem: Problem) -> list[str]:
    """The names of its parameters."""
    text, start = problem.declaration, _declaration(problem).end()
    depth, parts = 1, []
    for place in range(start, len(text)):
        depth += (text[place] in "([<{") - (text[place] in ")]>}")
        if depth == 0 or (depth == 1 and text[place] == ","):
            parts.append(text[start:place])
            start = place + 1
        if depth == 0:
            break
    words = [re.findall(r"\w+", part.partition("=")[0]) for part in parts]
    first = problem.language.key in ("python", "js", "go")
    return [found[0] if first else found[-1] for found in words if found]
