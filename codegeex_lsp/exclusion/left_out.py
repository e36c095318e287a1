"""Why a file or a document is left out: of the index, of the runtime's memory, of what other
documents are completed with. The words for people stand beside each reason.
"""

from __future__ import annotations

from enum import StrEnum


class LeftOut(StrEnum):
    """The first five hold for a document wherever it is met, the others for the index alone."""

    SECRET = "secret"  # noqa: S105
    IGNORED = "ignored"
    EXCLUDED = "excluded"
    ENVIRONMENT = "environment"
    UNKNOWN = "unknown"
    LINK = "link"
    LARGE = "large"
    BINARY = "binary"
    MINIFIED = "minified"
    UNREADABLE = "unreadable"
    TOO_MANY = "too_many"


SENTENCES = {
    LeftOut.SECRET: "Its name or its text says that it holds secrets.",
    LeftOut.IGNORED: "An ignore file of the project names it (.gitignore or .codegeexignore).",
    LeftOut.EXCLUDED: "The setting `codegeex.exclude` names it.",
    LeftOut.ENVIRONMENT: "It belongs to an environment or a cache that a program has made.",
    LeftOut.UNKNOWN: "Its folder did not say in time whether it is ignored; ask again.",
}
