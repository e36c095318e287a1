"""What is known of each programming language: its name, its comments, how its blocks end.

The names are those the models were trained with ("Python", "C++"). Knows nothing of prompts: the
tag line of a language belongs to the runtime. Completions work without a language too, so of() may
answer None.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BlockStyle(Enum):
    """What marks the end of a block."""

    INDENT = "indent"
    BRACES = "braces"
    END = "end"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class Language:
    """`line_comment` is empty where a language has none; `block_comment` is None likewise.

    `ids` are the language ids editors send, in lower case: VS Code's first, then those of Neovim,
    Emacs and Helix. `suffixes` are the ends of file names, the dot included.
    """

    name: str
    line_comment: str
    block_comment: tuple[str, str] | None
    block_style: BlockStyle
    ids: tuple[str, ...]
    suffixes: tuple[str, ...]


_C_COMMENT = ("/*", "*/")
_HTML_COMMENT = ("<!--", "-->")
_INDENT, _BRACES, _END, _TAGS = BlockStyle

# fmt: off
LANGUAGES: tuple[Language, ...] = (
    Language("C++", "//", _C_COMMENT, _BRACES, ("cpp", "c++"),
             (".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h++", ".ipp", ".inl")),
    Language("Python", "#", None, _INDENT, ("python", "python3"), (".py", ".pyi", ".pyw")),
    Language("Java", "//", _C_COMMENT, _BRACES, ("java",), (".java",)),
    Language("JavaScript", "//", _C_COMMENT, _BRACES,
             ("javascript", "javascriptreact", "javascript.jsx", "js", "jsx"),
             (".js", ".jsx", ".mjs", ".cjs")),
    Language("C", "//", _C_COMMENT, _BRACES, ("c",), (".c", ".h")),
    Language("Go", "//", _C_COMMENT, _BRACES, ("go",), (".go",)),
    Language("HTML", "", _HTML_COMMENT, _TAGS,
             ("html", "xhtml", "vue", "svelte", "django-html", "htmldjango", "jinja-html"),
             (".html", ".htm", ".xhtml", ".vue", ".svelte")),
    Language("Shell", "#", None, _END, ("shellscript", "sh", "bash", "zsh", "ksh", "shell"),
             (".sh", ".bash", ".zsh", ".ksh", ".bats")),
    Language("PHP", "//", _C_COMMENT, _BRACES, ("php",), (".php", ".phtml")),
    Language("CSS", "", _C_COMMENT, _BRACES, ("css", "scss", "less", "sass"),
             (".css", ".scss", ".less", ".sass")),
    Language("TypeScript", "//", _C_COMMENT, _BRACES,
             ("typescript", "typescriptreact", "typescript.tsx", "ts", "tsx"),
             (".ts", ".tsx", ".mts", ".cts")),
    Language("SQL", "--", _C_COMMENT, _END, ("sql", "mysql", "plsql", "pgsql"), (".sql",)),
    Language("TeX", "%", None, _TAGS, ("tex", "latex", "plaintex", "bibtex"),
             (".tex", ".sty", ".cls", ".ltx")),
    Language("Rust", "//", _C_COMMENT, _BRACES, ("rust",), (".rs",)),
    Language("Objective-C", "//", _C_COMMENT, _BRACES, ("objective-c", "objc"), (".m",)),
    Language("Scala", "//", _C_COMMENT, _BRACES, ("scala",), (".scala", ".sc", ".sbt")),
    Language("Kotlin", "//", _C_COMMENT, _BRACES, ("kotlin",), (".kt", ".kts")),
    Language("Pascal", "//", ("{", "}"), _END, ("pascal", "objectpascal", "delphi"),
             (".pas", ".pp", ".dpr", ".lpr")),
    Language("Fortran", "!", None, _END,
             ("fortran", "fortran-modern", "fortranfreeform", "f90"),
             (".f90", ".f95", ".f03", ".f08", ".f")),
    Language("R", "#", None, _BRACES, ("r",), (".r",)),
    Language("Cuda", "//", _C_COMMENT, _BRACES, ("cuda-cpp", "cuda"), (".cu", ".cuh")),
    Language("C#", "//", _C_COMMENT, _BRACES, ("csharp", "c#", "cs"), (".cs", ".csx")),
    Language("Objective-C++", "//", _C_COMMENT, _BRACES, ("objective-cpp", "objcpp", "objc++"),
             (".mm",)),
)
# fmt: on

_BY_NAME = {language.name.lower(): language for language in LANGUAGES}
_BY_ID = {language_id: language for language in LANGUAGES for language_id in language.ids}
_BY_SUFFIX = {suffix: language for language in LANGUAGES for suffix in language.suffixes}


def of(language_id: str, path: str) -> Language | None:
    """The language an editor calls `language_id`, else the one `path` (or a URI) ends like."""
    if known := _BY_ID.get(language_id.lower()):
        return known
    name = path.replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(f".{suffix.lower()}") if stem and dot else None


def named(name: str) -> Language | None:
    """The language that people or editors call `name`."""
    return _BY_NAME.get(name.strip().lower()) or _BY_ID.get(name.strip().lower())
