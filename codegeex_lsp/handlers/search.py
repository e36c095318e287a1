"""codegeex/search: a sentence or names to places in the workspace, best first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from lsprotocol import types

from codegeex_lsp.index.places import Place
from codegeex_lsp.lsp.errors import InvalidParamsError, RequestFailedError
from codegeex_lsp.text import file_uris
from codegeex_lsp.window.session import Session
from codegeex_lsp.workspace.index_client import NoIndexError

METHOD = "codegeex/search"
COMMAND = "codegeex.search"
MOST_PLACES = 100


@attrs.frozen(kw_only=True)
class SearchParams:
    """`path` limits the search to a file or folder: a URI, or a path in the first folder."""

    query: str
    limit: int = 10
    path: str = ""


async def handle(session: Session, params: SearchParams) -> dict[str, Any]:
    """`indexing` says that the index is still being built and more may be found later; `note` is
    a sentence about what else could have found more."""
    if not any(character.isalnum() for character in params.query):
        raise InvalidParamsError("The query has no words in it; write what you look for.")
    if not 1 <= params.limit <= MOST_PLACES:
        raise InvalidParamsError(f"The limit must be from 1 to {MOST_PLACES}.")
    try:
        places, note = await session.retrieval.search(params.query, params.limit, params.path)
    except NoIndexError as error:
        raise RequestFailedError(str(error)) from None
    return {
        "places": [_place(session, place) for place in places],
        "indexing": session.retrieval.state.phase.value == "indexing",
        **({"note": note} if note else {}),
    }


def command(session: Session) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The same for clients that know commands only; its argument is the request's parameters."""

    async def call(*arguments: Any) -> dict[str, Any]:
        argument = arguments[0] if len(arguments) == 1 else None
        return await handle(session, session.server.structured(argument, SearchParams, COMMAND))

    return call


def _place(session: Session, place: Place) -> dict[str, Any]:
    """A range ends at the beginning of the line behind the place."""
    start, end = types.Position(place.first, 0), types.Position(place.last + 1, 0)
    return {
        "uri": file_uris.of_path(place.path),
        "path": session.retrieval.folders.shown(place.path),
        "range": types.Range(start, end),
        "title": place.title,
        "score": round(place.score, 3),
        "snippet": place.text,
    }
