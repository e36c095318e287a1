"""Between JSON values and typed LSP structures: strict where a handler relies on it, lenient where
one odd capability would otherwise keep a client out.

Wraps lsprotocol's cattrs converter. Knows no messages and no transport; the protocol calls it for
every message it takes in or sends.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote, BaseValidationError, IterableValidationNote

from codegeex_lsp.lsp.errors import InvalidParamsError

logger = logging.getLogger(__name__)

T = TypeVar("T")
_Path = tuple[str | int, ...]

# What the server looks at in the client's capabilities. The rest is never structured: it costs
# 45 ms at start (cattrs compiles a function per class) and can only fail.
CAPABILITIES_READ: dict[str, frozenset[str] | None] = {
    "general": frozenset({"positionEncodings"}),
    "notebookDocument": None,
    "textDocument": frozenset({"synchronization", "completion", "inlineCompletion", "codeAction"}),
    "window": None,
    "workspace": frozenset(
        {
            "applyEdit",
            "configuration",
            "didChangeConfiguration",
            "didChangeWatchedFiles",
            "executeCommand",
            "workspaceEdit",
            "workspaceFolders",
        }
    ),
}

# Parts of messages where a value this version of LSP does not have is left out instead of refusing
# the message: Visual Studio, for one, sends diagnostic tags of its own.
FORGIVEN: dict[str, _Path] = {
    "initialize": (),
    "textDocument/codeAction": ("context", "diagnostics"),
}


def import_lsprotocol() -> None:
    """Import lsprotocol.types in half the CPU time; to be called before anything else does.

    It is 550 attrs classes, and generating their __eq__, __repr__, __setattr__ and slots is most of
    its 360 ms; without them it is 175 ms and 7 MiB less. Nothing here compares or prints these
    objects (not printing them is as well: they hold the user's text). Turning the collector off
    meanwhile saves nothing and costs 6 MiB.
    """
    lean = functools.partial(
        attrs.define, eq=False, repr=False, slots=False, on_setattr=attrs.setters.NO_OP
    )
    full, attrs.define = attrs.define, lean
    try:
        import lsprotocol.types  # noqa: F401
    finally:
        attrs.define = full


def build_converter() -> cattrs.Converter:
    """lsprotocol's converter, made strict about plain values: cattrs alone turns 5 into "5"."""
    from lsprotocol import converters

    converter = converters.get_converter()
    for plain in (str, bool, int):
        converter.register_structure_hook(plain, _plain_value)
    return converter


def structure(converter: cattrs.Converter, raw: Any, kind: type[T], method: str) -> T:
    """`raw` as a `kind`; faults in a FORGIVEN part are removed from `raw` and logged.

    Raises InvalidParamsError naming `method` and the first field at fault.
    """
    while True:
        try:
            return converter.structure(raw, kind)
        except Exception as error:  # validators and union hooks raise whatever they like
            fault = _fault(error)
        place = ".".join(map(str, fault))
        if not _forgive(raw, fault, method):
            what = f"'{place}' is missing or has the wrong type" if place else "they don't fit"
            raise InvalidParamsError(f"The parameters of {method} are no good: {what}.")
        logger.info("Left out what could not be read in %s: %s.", method, place)


def without_unread_capabilities(raw: Any) -> Any:
    """Initialize parameters with only those capabilities that the server looks at."""
    capabilities = raw.get("capabilities") if isinstance(raw, dict) else None
    if not isinstance(capabilities, dict):
        return raw
    read: dict[str, Any] = {}
    for section, names in CAPABILITIES_READ.items():
        value = capabilities.get(section)
        if isinstance(value, dict) and names is not None:
            value = {name: value[name] for name in names if name in value}
        read[section] = value
    return {**raw, "capabilities": read}


def _fault(error: BaseException) -> _Path:
    """The JSON path to the first thing that could not be structured, from cattrs' notes."""
    path: list[str | int] = []
    while isinstance(error, BaseValidationError) and error.exceptions:
        error = error.exceptions[0]
        for note in getattr(error, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                path.append(_camel_case(note.name))
            elif isinstance(note, IterableValidationNote):
                path.append(note.index)
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        missing = error.args[0]
        if not path or path[-1] != missing:
            path.append(missing)
    return tuple(path)


def _forgive(raw: Any, fault: _Path, method: str) -> bool:
    """Remove the fault, or the nearest thing around it that is there, from a forgiven part."""
    forgiven = FORGIVEN.get(method)
    if forgiven is None or fault[: len(forgiven)] != forgiven:
        return False
    for length in range(len(fault), len(forgiven), -1):
        *parents, last = fault[:length]
        container = raw
        for step in parents:
            container = container[step] if _holds(container, step) else None
        if _holds(container, last):
            del container[last]
            return True
    return False


def _holds(container: Any, step: str | int) -> bool:
    if isinstance(container, dict):
        return step in container
    return isinstance(container, list) and isinstance(step, int) and step < len(container)


def _camel_case(name: str) -> str:
    first, *others = name.removesuffix("_").split("_")
    return first + "".join(part.title() for part in others)


def _plain_value(value: Any, kind: type[Any]) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # some clients' JSON writes 1 as 1.0
    if kind not in (str, bool, int):
        return kind(value)  # an enum: cattrs looks hooks up by base class
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}")
    return value
