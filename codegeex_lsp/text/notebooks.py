"""Which cells make up which open notebook, in order. Their texts are documents like any other.

Plain like documents.py: no lsprotocol. Fed by the protocol; the session puts the cells above a cell
before its text, since a model should see what the notebook has defined so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegeex_lsp.text import magics
from codegeex_lsp.text.documents import Position, Snapshot


@dataclass(frozen=True, slots=True)
class Cell:
    """`uri` names the cell's document in the DocumentStore; `is_code` is False for prose."""

    uri: str
    is_code: bool


def below(
    above: Sequence[Snapshot], snapshot: Snapshot, position: Position
) -> tuple[Snapshot, Position]:
    """One text of the cells `above` in its language and then `snapshot`, without lines that are
    magics before the one of `position`, and where that lies in it."""
    language_id = magics.language_id(snapshot.language_id, snapshot.lines)
    lines = [
        line
        for cell in above
        if magics.language_id(cell.language_id, cell.lines) == language_id
        for line in magics.without(cell.language_id, _ended(cell.lines))
    ]
    lines += magics.without(snapshot.language_id, snapshot.lines[: position.line])
    whole = [*lines, *snapshot.lines[position.line :]]
    size = sum(map(len, whole))
    cell = replace(snapshot, language_id=language_id, lines=whole, size=size)
    return cell, Position(len(lines), position.column)


def _ended(lines: Sequence[str]) -> list[str]:
    """The lines of a whole cell, the last one with an ending too."""
    return [*lines[:-1], lines[-1] + "\n"]


@dataclass(frozen=True, slots=True)
class Notebook:
    """One state of one notebook."""

    uri: str
    version: int
    cells: tuple[Cell, ...]

    def before(self, cell_uri: str) -> tuple[Cell, ...]:
        """The cells above `cell_uri`; all of them when it is not in this notebook."""
        uris = [cell.uri for cell in self.cells]
        return self.cells[: uris.index(cell_uri)] if cell_uri in uris else self.cells


class NotebookStore:
    """The open notebooks by URI."""

    def __init__(self) -> None:
        self._notebooks: dict[str, Notebook] = {}

    def containing(self, cell_uri: str) -> Notebook | None:
        """The notebook one of whose cells is `cell_uri`, None for a document of its own."""
        for notebook in self._notebooks.values():
            if any(cell.uri == cell_uri for cell in notebook.cells):
                return notebook
        return None

    def open(self, notebook: Notebook) -> None:
        self._notebooks[notebook.uri] = notebook

    def splice(
        self, uri: str, version: int, start: int, removed: int, cells: Sequence[Cell]
    ) -> None:
        """Replace `removed` cells from index `start`; ignored for a notebook that is not open."""
        if (notebook := self._notebooks.get(uri)) is None:
            return
        kept = notebook.cells
        after = (*kept[:start], *cells, *kept[start + removed :])
        self._notebooks[uri] = replace(notebook, version=version, cells=after)

    def close(self, uri: str) -> None:
        self._notebooks.pop(uri, None)
