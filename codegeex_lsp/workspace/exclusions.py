"""Which of a window's documents are left out, and why.

By its path a document is judged with exclusion/rule.py, which needs the disk: a thread does it, and
nobody waits for it but a request. The verdict is given again after a while, and at once when an
ignore file or the settings have changed; a document whose verdict is another is told of. By its
text one is left out that is no code and holds secrets in most of its lines, as a key in a new
document. Knows no LSP. session.py owns it.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from codegeex_lsp.exclusion import values
from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.exclusion.rule import Rule
from codegeex_lsp.text import file_uris, languages
from codegeex_lsp.text.documents import Position, Snapshot

# Not every editor tells of ignore files that others write.
GOOD_FOR_S = 5.0
# A drive that hangs gives none; nothing is suggested then.
PATIENCE_S = 2.0
# So much of a document says what it is.
CHARACTERS_READ = 16 * 1024
SECRET_LANGUAGES = ("dotenv", "env")


class Exclusions:
    """`rule` is the one that holds now; `on_change` gets a URI and the verdict before."""

    def __init__(
        self, rule: Callable[[], Rule], on_change: Callable[[str, LeftOut | None], None]
    ) -> None:
        self._rule = rule
        self._on_change = on_change
        self._verdicts: dict[str, LeftOut | None] = {}
        self._given_at: dict[str, float] = {}
        self._judging: dict[str, asyncio.Task[None]] = {}
        # More of them would only take turns with the loop; a second for when a drive hangs.
        self._threads = ThreadPoolExecutor(max_workers=2)

    def known(self, snapshot: Snapshot) -> LeftOut | None:
        """Why the document is left out, UNKNOWN until that is found out; None when it isn't."""
        uri = snapshot.uri
        if time.monotonic() - self._given_at.get(uri, -math.inf) > GOOD_FOR_S:
            self._judge(uri)
        return self._verdicts.get(uri, LeftOut.UNKNOWN) or _by_text(snapshot)

    async def of(self, snapshot: Snapshot) -> LeftOut | None:
        """The same, once it is found out."""
        if self.known(snapshot) is LeftOut.UNKNOWN and (work := self._judging.get(snapshot.uri)):
            await asyncio.wait([work], timeout=PATIENCE_S)
        return self.known(snapshot)

    def look_again(self, uris: Iterable[str]) -> None:
        """What the verdicts on these documents rest on has changed."""
        self._given_at.clear()
        for uri in uris:
            if (work := self._judging.pop(uri, None)) is not None:
                work.cancel()  # it may have read what was there before
            self._judge(uri)

    def closed(self, uri: str) -> None:
        if (work := self._judging.pop(uri, None)) is not None:
            work.cancel()
        self._verdicts.pop(uri, None)
        self._given_at.pop(uri, None)

    def _judge(self, uri: str) -> None:
        if uri not in self._judging:
            self._judging[uri] = asyncio.create_task(self._give(uri))

    async def _give(self, uri: str) -> None:
        path, rule = file_uris.place(uri), self._rule()
        on_disk = os.path.isabs(path) and "\0" not in path
        judge = rule.of_file if on_disk else rule.of_path
        why = await asyncio.get_running_loop().run_in_executor(self._threads, judge, path)
        del self._judging[uri]
        self._given_at[uri] = time.monotonic()
        before = self._verdicts.get(uri, LeftOut.UNKNOWN)
        self._verdicts[uri] = why
        if why is not before:
            self._on_change(uri, before)


def _by_text(snapshot: Snapshot) -> LeftOut | None:
    if snapshot.language_id in SECRET_LANGUAGES:
        return LeftOut.SECRET
    if languages.of(snapshot.language_id, snapshot.uri) is not None:
        return None
    text = snapshot.suffix(Position(0, 0), CHARACTERS_READ)
    return LeftOut.SECRET if values.mostly(text) else None
