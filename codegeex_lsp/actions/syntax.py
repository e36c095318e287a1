"""Does code parse? Python by its own parser, others by tree-sitter where a grammar is installed.

The grammars are the extra `syntax`; each is imported when it is first needed.
"""

from __future__ import annotations

import ast
import functools
import importlib
import warnings
from typing import Any

# Language to the grammar's package and the function in it that gives the grammar.
GRAMMARS = {
    "C": ("tree_sitter_c", "language"),
    "C++": ("tree_sitter_cpp", "language"),
    "Go": ("tree_sitter_go", "language"),
    "Java": ("tree_sitter_java", "language"),
    "JavaScript": ("tree_sitter_javascript", "language"),
    "Rust": ("tree_sitter_rust", "language"),
}


def parses(code: str, language: str) -> bool | None:
    """True or False, or None when there is no parser for the language here."""
    if language == "Python":
        return _parses_as_python(code)
    parser = _parser(language)
    return None if parser is None else not parser.parse(code.encode()).root_node.has_error


def _parses_as_python(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is the user's affair
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


@functools.cache
def _parser(language: str) -> Any:
    """A tree-sitter parser, or None."""
    if language not in GRAMMARS:
        return None
    package, function = GRAMMARS[language]
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        grammar = getattr(importlib.import_module(package), function)()
        return tree_sitter.Parser(tree_sitter.Language(grammar))
    except (ImportError, AttributeError, ValueError, TypeError):
        return None  # not installed, or made for another tree-sitter
