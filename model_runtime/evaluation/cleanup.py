"""Where a generated body ends: the stop rule while sampling and the clean-up afterwards.

Both as the reference has them, which golden vectors of it check. Pure text; keys of languages.py.
"""

from __future__ import annotations

PYTHON_STOPS = ("\ndef", "\nclass", "\nif", "\n#", "\nprint")
PYTHON_CUTS = (*PYTHON_STOPS, "\nassert")
JAVA_MAIN = "public static void main"
GO_CUTS = ("\n//", "\nfunc main(")
BRACES = ("cpp", "java", "js", "go")


def finished(language: str, text: str) -> bool:
    """Whether a body is complete, so that sampling can end."""
    if language == "python":
        # Most stops begin a line in column 0 anyway; `#` and `print` are the reference's words.
        begins = any(line.strip() and not line[0].isspace() for line in text.split("\n"))
        return begins or any(stop in text for stop in PYTHON_STOPS)
    return language in BRACES and text.count("{") + 1 == text.count("}")


def clean(language: str, text: str) -> str:
    """The body without what was generated behind it."""
    if language == "python":
        return _cut_last(text, PYTHON_CUTS)
    if language == "java":
        return _clean_java(text)
    if language == "go":
        return _to_last_brace(_cut_last(text, GO_CUTS))
    return _to_last_brace(text) if language in BRACES else text


def _clean_java(text: str) -> str:
    before, main, _ = text.partition(JAVA_MAIN)
    text = before + "}" if main else text
    text = _to_last_brace(text)
    if text.count("{") + 1 == text.count("}"):
        text += "\n}"  # the class's
    return text


def _cut_last(text: str, marks: tuple[str, ...]) -> str:
    for mark in marks:
        if (place := text.rfind(mark)) >= 0:
            text = text[:place]
    return text


def _to_last_brace(text: str) -> str:
    place = text.rfind("}")
    return text[: place + 1] if place >= 0 else text
