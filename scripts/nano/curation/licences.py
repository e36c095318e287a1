"""May this text be trained on and its model be given away? Read per package and per file.

A package says its licence in its metadata: a wheel's METADATA, package.json, Cargo.toml, Debian's
debian/copyright. Silence and anything not named here mean no. A file inside a permissive package
may still carry another project's header, so its first lines are read too. It knows no archives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatchcase

# Boost, curl, PostgreSQL, Python's own and the rest here ask for attribution at most.
PERMISSIVE = re.compile(
    r"\b(MIT|Expat|BSD|Apache|ASL|ISC|ISCL|0BSD|Zlib|libpng|BSL|Boost|PostgreSQL|curl|PSF|PSFL"
    r"|Python Software Foundation|HPND|NCSA|Unlicense|CC0|public[- ]domain|X11|Unicode|WTFPL)\b",
    re.IGNORECASE,
)
RESTRICTED = re.compile(
    r"(\b[AL]?GPL|GNU |Affero|\bLesser General|\bMPL|Mozilla Public|\bEPL|Eclipse Public|\bCDDL"
    r"|\bEUPL|\bCeCILL|\bSSPL|\bBUSL|Business Source|\bCPL\b|\bOSL\b|\bCC[- ]BY|Creative Commons"
    r"|Proprietary|Commercial|NVIDIA|LicenseRef|Elastic License|Commons Clause|\bJSON License)",
    re.IGNORECASE,
)
# In a file's header "commercial" and "GNU" stand in harmless sentences too.
RESTRICTED_HEADER = re.compile(
    r"(\b[AL]?GPL(v?[123]|\b)|GNU (Lesser|Library|Affero|General) |Affero General"
    r"|\bMPL\b|Mozilla Public|\bEPL\b|Eclipse Public|\bCDDL\b|Common Development and Distribution"
    r"|Creative Commons Attribution|\bCC[- ]BY|NVIDIA (PROPRIETARY|CORPORATION and its licensors)"
    r"|proprietary (and|information|license)|Business Source License|Server Side Public)",
    re.IGNORECASE,
)
HEADER_CHARACTERS = 4000
# METADATA's "License" may hold a whole licence; its first lines name it.
NAMING_CHARACTERS = 120


def permissive(declared: str) -> bool:
    """Whether a licence expression or a plain name allows us the text.

    With OR one permissive choice is enough; with AND, or with brackets, every part must be one.
    """
    if "(" in declared and re.search(r"\b(or|and)\b", declared, re.IGNORECASE):
        choices = [re.sub(r"\bor\b|[()]", " and ", declared, flags=re.IGNORECASE)]
    else:
        choices = re.split(r"\s+or\s+(?!later)|\s*/\s*", declared, flags=re.IGNORECASE)
    return any(_all_permissive(choice) for choice in choices)


def _all_permissive(expression: str) -> bool:
    parts = re.split(r"\band\b|,", expression, flags=re.IGNORECASE)
    named = [part for part in parts if part.strip()]
    return bool(named) and all(PERMISSIVE.search(p) and not RESTRICTED.search(p) for p in named)


def of_wheel(metadata: Message) -> str | None:
    """The licence a wheel's METADATA names, None unless it is permissive."""
    if expression := metadata["License-Expression"]:
        return str(expression) if permissive(str(expression)) else None
    text = " ".join(str(metadata["License"] or "").split())[:NAMING_CHARACTERS]
    classifiers = [
        str(value).rpartition("::")[2].strip()
        for value in metadata.get_all("Classifier", [])
        if str(value).startswith("License")
    ]
    return _named([text, *classifiers])


def _named(names: list[str]) -> str | None:
    """The names of one licence in different words: one must be known, none restricted."""
    if any(RESTRICTED.search(name) for name in names):
        return None
    return next((name for name in reversed(names) if PERMISSIVE.search(name)), None)


def restricted_header(text: str) -> bool:
    """Whether a file's first lines put it under a copyleft or proprietary licence."""
    return RESTRICTED_HEADER.search(text[:HEADER_CHARACTERS]) is not None


@dataclass(frozen=True, slots=True)
class DebianCopyright:
    """debian/copyright in its machine-readable form: patterns of paths with their licences.

    The last pattern that fits a path decides, as the format says.
    """

    stanzas: tuple[tuple[str, str], ...]

    @property
    def main(self) -> str | None:
        """The licence of "Files: *", None unless it is permissive."""
        main = next((licence for pattern, licence in self.stanzas if pattern == "*"), "")
        return main if permissive(main) else None

    def allows(self, path: str) -> bool:
        licences = [licence for pattern, licence in self.stanzas if fnmatchcase(path, pattern)]
        return bool(licences) and permissive(licences[-1])


def of_debian(copyright: str) -> DebianCopyright | None:
    """None when the text isn't machine-readable: then nobody can say which file is whose."""
    if not copyright.startswith("Format:"):
        return None
    stanzas = []
    for paragraph in re.split(r"\n\s*\n", copyright):
        fields = Parser().parsestr(paragraph.strip() + "\n")
        licence = str(fields["License"] or "").partition("\n")[0].strip()
        stanzas += [(pattern, licence) for pattern in str(fields["Files"] or "").split()]
    return DebianCopyright(tuple(stanzas))
