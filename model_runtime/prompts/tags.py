"""The line a language's training texts began with, and comments in the same style.

Knows languages by display name or usual key ("C++", "cpp"), nothing of models or prompts.
"""

from __future__ import annotations

# What ends a comment, by what begins it; other comments end with their line.
CLOSERS = {"/* ": " */", "<!--": "-->", "{": "}"}


def tag_line(language: str) -> str:
    """The line the training texts began with, its newline included; "" for an unknown language."""
    tag = TAGS.get(language.lower())
    return f"{tag}\n" if tag else ""


def comment(language: str, text: str) -> str:
    """`text`, which may have lines, as comments; an unknown language is commented like Python."""
    opener, closer = comment_marks(language)
    return "\n".join(f"{opener}{line}{closer}" for line in text.split("\n"))


def instructed(prefix: str, instruction: str, language: str) -> str:
    """`prefix` and below it the instruction as a comment, indented as its last line begins."""
    if not instruction:
        return prefix
    above, newline, line = prefix.rpartition("\n")
    if line.strip():
        above, newline, line = prefix, "\n", ""
    lines = comment(language, instruction).split("\n")
    return above + newline + "".join(f"{line}{one}\n" for one in lines)


def comment_marks(language: str) -> tuple[str, str]:
    """What goes before and after a comment's text on its line, blanks included."""
    opener, found, _ = TAGS.get(language.lower(), "# ").partition("language:")
    opener = opener if found else "# "
    return opener, CLOSERS.get(opener, "")


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
