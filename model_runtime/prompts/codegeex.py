"""CodeGeeX-13B and CodeGeeX2: models that continue text, asked by texts to be continued.

Every text begins with a tag line, as in training, but for the paper's translation prompt (section
4.1 and the published benchmark code). Explaining is the original editor extension's one-shot
prompt: an example, the code, the example explained, and the beginning of the code to be explained;
documenting is made after it. The formats have no place for text after the cursor.
"""

from __future__ import annotations

from model_runtime.prompts.family import Family, Prompt
from model_runtime.prompts.pieces import Tail, Text
from model_runtime.prompts.quoting import quoted
from model_runtime.prompts.tags import comment, comment_marks, instructed, tag_line
from model_runtime.wire.protocol import Generate, Task

EXPLAIN = "Explain the code line by line"
DOCUMENT = "Describe what the code does"

# Code, the same explained, and how the same is described; for languages with "#" and with "//".
PYTHON_EXAMPLE = (
    "def larger(a, b):\n    if a > b:\n        return a\n    return b",
    "def larger(a, b):\n"
    "    # If the first value is above the second\n"
    "    if a > b:\n"
    "        # the first one is the answer\n"
    "        return a\n"
    "    # Otherwise the second one is the answer\n"
    "    return b",
    'def larger(a, b):\n    """Return the larger one of two values."""',
)
BRACES_EXAMPLE = (
    "larger(a, b) {\n    if (a > b) {\n        return a;\n    }\n    return b;\n}",
    "larger(a, b) {\n"
    "    // If the first value is above the second\n"
    "    if (a > b) {\n"
    "        // the first one is the answer\n"
    "        return a;\n"
    "    }\n"
    "    // Otherwise the second one is the answer\n"
    "    return b;\n"
    "}",
    "// Return the larger one of two values.\nlarger(a, b) {",
)
QUOTES = '"""'


def complete(request: Generate) -> Prompt:
    return _continued(request, request.prefix)


def generate(request: Generate) -> Prompt:
    """An instruction becomes the last comment before the cursor."""
    asked = instructed(request.prefix, request.instruction, request.language)
    return _continued(request, asked)


def translate(request: Generate) -> Prompt:
    """An instruction is the declaration that the result begins with."""
    source, target = request.language, request.target_language
    asked = f"code translation\n{source}:\n{request.code.rstrip()}\n{target}:\n"
    stop = ("\ncode translation", f"\n{source}:\n", f"\n{target}:\n")
    return Prompt((Text(asked + request.instruction),), request.instruction, stop)


def explain(request: Generate) -> Prompt:
    """The answer is the code with comments; its first line stands in the prompt."""
    code, explained, _ = _example(request.language)
    header = comment(request.language, EXPLAIN)
    first, newline, _ = request.code.partition("\n")
    lead = first if newline else ""
    text = f"{code}\n\n{request.code}\n\n{header}\n{explained}\n\n{header}\n{lead}"
    return Prompt((Text(tag_line(request.language) + text),), lead, (f"\n{header}",))


def docstring(request: Generate) -> Prompt:
    """The answer is what a docstring says, between its quotes, or a comment behind its first mark.

    Outside Python it ends where the code's first line follows the comment.
    """
    code, _, described = _example(request.language)
    header = comment(request.language, DOCUMENT)
    if request.language == "Python":
        asked, stop = f"{_signature(request.code)}\n    {QUOTES}", QUOTES
    else:
        asked, stop = comment_marks(request.language)[0].rstrip(), f"\n{_signature(request.code)}"
    text = f"{code}\n\n{header}\n{described}\n\n{request.code}\n\n{header}\n{asked}"
    return Prompt((Text(tag_line(request.language) + text),), stop=(stop, f"\n{header}"))


def template(request: Generate) -> Prompt:
    """The user's text as it is, below a tag line unless it brings one."""
    tag = "" if "language:" in request.prefix.partition("\n")[0] else tag_line(request.language)
    return Prompt((Text(tag + request.prefix),))


def _continued(request: Generate, text: str) -> Prompt:
    others = quoted(request.snippets, request.language)
    return Prompt((Tail(text, tag_line(request.language) + others),))


def _signature(code: str) -> str:
    """The first line with something in it; in Python as far as the colon that opens the body."""
    lines = code.strip("\n").split("\n")
    if lines[0].rstrip().endswith(("(", ",", "[")):
        end = next((n for n, line in enumerate(lines) if line.rstrip().endswith(":")), 0)
        return "\n".join(lines[: end + 1])
    return lines[0]


def _example(language: str) -> tuple[str, str, str]:
    return BRACES_EXAMPLE if comment_marks(language)[0] == "// " else PYTHON_EXAMPLE


CODEGEEX = Family(
    {
        Task.COMPLETE: complete,
        Task.GENERATE: generate,
        Task.TRANSLATE: translate,
        Task.EXPLAIN: explain,
        Task.DOCSTRING: docstring,
        Task.SUMMARISE: docstring,  # its example is documented in one sentence
        Task.TEMPLATE: template,
    }
)
