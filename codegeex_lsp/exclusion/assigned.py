"""Secrets that nothing but a name gives away: db_password = "swordfish", API_TOKEN=8f2c..., and
"Authorization": "Bearer ...". Pure text, in linear time; values.py calls it.

The names are those of detect-secrets' keyword detector (Apache-2.0). A word that is found wrongly
costs little, a string that isn't learned; so to a name that says it outright, as password, most
values are secrets, and to others, as token, those that look drawn by lot. In 40 MB of Python, 2,500
files, 8 values are found, all of them wrongly.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

_STRONG = (
    r"passw(?:or)?d|passphrase|passcode|pass_?wd|(?<![a-z])pass(?![a-z]|_name)|pwd|secret|"
    r"contrase[ñn]a"
)
_WEAK = (
    r"token(?!i)|credential|auth|"
    r"(?:api|access|private|priv|client|service|account|signing|encryption|master|db|database|"
    r"shared|storage|license)[_-]?key"
)
_NAME = re.compile(rf"(?P<strong>{_STRONG})|(?P<scheme>bearer|basic)|{_WEAK}", re.IGNORECASE)
# Each of these names has one of the stems, which are found quicker, near its end.
_STEMS = (
    "pass",
    "pwd",
    "secret",
    "contrase",
    "token",
    "credential",
    "auth",
    "bearer",
    "basic",
    "key",
)
_NEAR = 12
# The rest of the name, its closing quote or bracket, what assigns; so `<password>` and ("token",
# do as well.
_ASSIGNS = re.compile(
    r"[\w.-]{0,40}[\"'`]?\]?[ \t]{0,20}"
    r"(?P<sign>:[ \t]{0,4}[\w.\[\], |]{1,40}=|:?={1,3}|=>|!==?|[:>,(]|[ \t])[ \t]{0,20}"
    r"\(?(?:[bBrRuUfF@$](?=[\"'`]))?"
)
# What makes of a blank or a ">" a sign that assigns: `--password swordfish`, `<password>swordfish`.
_OPTION = re.compile(r"-[\w-]{0,40}\Z")
_ELEMENT = re.compile(r"<[\w:.-]{0,40}\Z")
_QUOTED = re.compile(r"\"([^\"\n\r]{1,512})\"?|'([^'\n\r]{1,512})'?|`([^`\n\r]{1,512})`?")
_BARE = re.compile(r"[^\s\"'`,;<>(){}\[\]]{0,511}[^\s\"'`,;<>(){}\[\]:.]")
_CALL = re.compile(r"[A-Za-z_][\w.]*[(\[]|[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)+")
_LINE_BEFORE = re.compile(r"(?:\A|\n)[ \t]*(?:export[ \t]|set[ \t]|-[ \t])?[\"']?[\w.-]*\Z")
_LINE_BEHIND = re.compile(r"[ \t\r]*(?:\n|\Z)")
_WORDS = re.compile(r"[A-Za-z]+(?:[_./:-][A-Za-z]+)*|[A-Z]+(?:_[A-Z0-9]+)*")
# What stands for a value that is elsewhere, or to be filled in.
_PLACEHOLDER = re.compile(
    r"(?:.{0,40}[^a-z])?(?:change_?me|example|placeholder|redacted|dummy|your|todo|none|null|nil|"
    r"true|false|undefined|string|text|number|boolean|password|passwd|secret|token|hidden|required|"
    r"optional|default|basic|bearer)(?:[^a-z].{0,40})?|[x*.•#-]+|"
    r"[$%{<@].*[}>%@)]|\$\w+|.*\$\{.*",
    re.IGNORECASE,
)
# Behind a name in quotes and one of these stands its value, or the next name.
_LISTS = (",", "(")
_OF_SCHEME = re.compile(r"[\w.~+/-]+=*")
_LEAST_STRONG, _LEAST_WEAK = 6, 12
_LEAST_BITS = 3.0


def secrets(text: str) -> Iterator[tuple[int, int]]:
    """Where they begin and end; the same one may come twice."""
    for name in _names(text):
        assigns = _ASSIGNS.match(text, name.end())
        if assigns is None or not _assigns(text, name, assigns):
            continue
        place, sign = assigns.end(), assigns["sign"]
        if quoted := _QUOTED.match(text, place):
            group = quoted.lastindex or 0
            if _looks_secret(quoted[group], name["strong"] is not None, sign):
                yield quoted.span(group)
        elif (bare := _BARE.match(text, place)) and _looks_bare(text, name, bare, sign):
            yield bare.span()


def _names(text: str) -> Iterator[re.Match[str]]:
    """The telling parts of names."""
    # The one letter whose small form is two would move what stands behind it.
    small = text.replace("İ", "I").lower()
    for stem in _STEMS:
        place = small.find(stem)
        while place >= 0:
            after = place + len(stem)
            name = _NAME.search(text, max(0, place - _NEAR), after + _NEAR)
            if name and name.start() <= place and name.end() >= after:
                yield name
                after = name.end()
            place = small.find(stem, after)


def _assigns(text: str, name: re.Match[str], sign: re.Match[str]) -> bool:
    if name["scheme"]:  # of a header: "Bearer ..."
        return sign["sign"].isspace()
    if sign["sign"] == "(" and "." in sign[0]:  # a method of something else
        return False
    before = text[max(0, name.start() - 40) : name.start()]
    if sign["sign"].isspace():
        return _OPTION.search(before) is not None
    return sign["sign"] != ">" or _ELEMENT.search(before) is not None


def _looks_secret(value: str, strong: bool, sign: str) -> bool:
    """Whether a quoted value is likely to be one. A word in its place is no secret to a weak name,
    nor in a list; to a strong one that it is assigned to it is."""
    least = _LEAST_STRONG if strong else _LEAST_WEAK
    if len(value) < least or " " in value or _PLACEHOLDER.fullmatch(value):
        return False
    if strong and sign not in _LISTS:
        return True
    return _WORDS.fullmatch(value) is None and _is_random(value)


def _looks_bare(text: str, name: re.Match[str], bare: re.Match[str], sign: str) -> bool:
    """Without quotes it may be code: names, calls and types are no secrets then. On a line of its
    own, as in shells and settings, there are none of these on the right."""
    value, strong = bare[0], name["strong"] is not None
    if sign in _LISTS or not _looks_secret(value, strong, sign):
        return False
    if name["scheme"]:
        return _OF_SCHEME.fullmatch(value) is not None
    if _CALL.match(text, bare.start()):
        return False
    if sign == ">" or (name[0].isupper() and not value.startswith("_")):
        return True
    alone = _LINE_BEHIND.match(text, bare.end()) and _LINE_BEFORE.search(
        text, max(0, text.rfind("\n", 0, name.start())), name.start()
    )
    return _is_random(value) and (alone is not None or not value.isidentifier())


def _is_random(value: str) -> bool:
    """Letters and digits or signs, not the same ones over and over."""
    if value.replace("_", "").isalpha() or not any(one.isalpha() for one in value):
        return False
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return bits >= min(_LEAST_BITS, math.log2(len(value)) - 0.5)
