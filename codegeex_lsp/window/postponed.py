"""The ghost text that was asked for before the model was there.

An editor asks at each keystroke and not when the model becomes ready; by codegeex/why it learns
whether its last question is worth asking again. Held by the session.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegeex_lsp.text.documents import Position
from model_runtime.wire.protocol import Reason

MODEL_MISSING = (Reason.STARTING, Reason.LOADING)


@dataclass(frozen=True, slots=True)
class Postponed:
    """`trigger_kind` is LSP's number: it says whether somebody asked by hand."""

    uri: str
    version: int
    position: Position
    trigger_kind: int

    def is_at(self, uri: str, version: int, position: Position) -> bool:
        return (self.uri, self.version, self.position) == (uri, version, position)
