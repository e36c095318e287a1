"""Which files are worth training on, and what is taken out of those that are.

The rules of the CodeGeeX paper (arXiv:2303.17568, its section on the corpus: no generated files,
lines of 100 characters on average at most, 40 % letters, 1 KB to 100 KB) plus what a public corpus
needs: no keys, no e-mail addresses, no other project's vendored code. It knows paths and text, no
archives.
"""

from __future__ import annotations

import hashlib
import re

from curation.licences import restricted_header

LANGUAGES = {
    "Python": "py",
    "Java": "java",
    "Go": "go",
    "C++": "cc cpp cxx hpp hh hxx",
    "C": "c h",
    "JavaScript": "js mjs cjs jsx",
    "TypeScript": "ts tsx mts",
    "Rust": "rs",
    "Shell": "sh bash",
    "SQL": "sql",
    "HTML": "html",
    "CSS": "css",
    "C#": "cs",
    "PHP": "php",
    "Ruby": "rb",
    "Perl": "pl pm",
}
BY_SUFFIX = {suffix: name for name, suffixes in LANGUAGES.items() for suffix in suffixes.split()}

SMALLEST, LARGEST = 1_000, 100_000
UNWANTED_PATH = re.compile(
    r"(^|/)(\.\.|vendor|_?vendored|_vendor|third[_-]?party|external|extern|deps|node_modules"
    r"|baselines|fixtures?|testdata|test_data|snapshots|__snapshots__|site-packages|dist/umd|umd|bundles?|min"
    r"|generated|gen|locales?|i18n|l10n|migrations|unicode[_-]?data|debian)(/|$)"
    r"|\.min\.(js|css)$|[._-]bundle\.js$|_pb2(_grpc)?\.py$|\.pb\.(go|cc|h)$|zz_generated|\.d\.[mc]?ts$"
    r"|(^|/)(__init__|_version|conftest)\.py$|(^|/)bindata",
    re.IGNORECASE,
)
TEST_PATH = re.compile(
    r"(^|/)(tests?|testing|spec|__tests__|src/test)(/|$)|_test\.(go|py|cc|cpp)$|(^|/)test_[^/]*$"
    r"|\.(test|spec)\.[jt]sx?$|Tests?\.java$",
    re.IGNORECASE,
)
GENERATED = re.compile(
    r"(auto[- ]?generated|automatically generated|generated (by|from|file|code)|machine generated"
    r"|@generated|this file was generated|do not (edit|modify))",
    re.IGNORECASE,
)
MARKER_CHARACTERS = 1_500
KEY = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abpr]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{35}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|(?i:secret|token|passw(or)?d|api[_-]?key|access[_-]?key)['\"]?\s*[:=]+\s*"
    r"['\"](?=[^'\"\s]*\d)[A-Za-z0-9+/_=.-]{16,}['\"]"
)
EMAIL = re.compile(r"\b[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b")
NOBODY = "user@example.com"
BLOB = re.compile(r"[A-Za-z0-9+/=]{250,}|(?:(?:0x[0-9a-fA-F]+|-?\d[\d.eE]*)\s*,\s*){60,}")
COMMENT_BLOCK = re.compile(r"(?:/\*.*?\*/|<!--.*?-->|(?:[ \t]*(?://|#(?!!)|--|;)[^\n]*\n)+)", re.S)
LICENCE_WORDS = re.compile(r"copyright|licen[cs]e|SPDX-|all rights reserved", re.IGNORECASE)


def language_of(path: str) -> str | None:
    """By the path's suffix; None for what we don't train on."""
    return BY_SUFFIX.get(path.rpartition(".")[2].lower()) if "." in path else None


def unwanted_path(path: str, size: int) -> str | None:
    """Why a file needn't even be read, or None. Every second test is enough of them."""
    if not SMALLEST <= size <= LARGEST:
        return "size"
    if UNWANTED_PATH.search(path):
        return "vendored or fixture path"
    if TEST_PATH.search(path) and hashlib.md5(path.encode()).digest()[0] % 2:  # noqa: S324
        return "every second test"
    return None


def unwanted_text(text: str) -> str | None:
    """Why the text of a file stays out, or None. Headers must still be in it."""
    lines = text.splitlines() or [""]
    if restricted_header(text):
        return "licence in the header"
    if GENERATED.search(text[:MARKER_CHARACTERS]):
        return "generated"
    if sum(map(str.isalpha, text)) < 0.4 * len(text):
        return "few letters"
    if len(text) > 100 * len(lines):
        return "long lines on average"
    if max(map(len, lines)) > 1000:
        return "a line over 1000 characters"
    if BLOB.search(text):
        return "numbers or base64"
    if KEY.search(text):
        return "shaped like a key"
    return None


def cleaned(text: str) -> str:
    """Without licence header, e-mail addresses, blanks at line ends and carriage returns."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[ \t\f]+$", "", _without_licence(text), flags=re.M)
    return EMAIL.sub(NOBODY, text).strip("\n") + "\n"


def _without_licence(text: str) -> str:
    shebang, rest = re.match(r"(#![^\n]*\n)?(.*)", text, re.S).groups()  # type: ignore[union-attr]
    rest = rest.lstrip("\ufeff\n\t ")
    while (block := COMMENT_BLOCK.match(rest)) and LICENCE_WORDS.search(block.group()):
        rest = rest[block.end() :].lstrip("\n")
    return (shebang or "") + rest
