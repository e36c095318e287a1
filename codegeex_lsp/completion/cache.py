"""Typing through: a suggestion that the user is typing out is answered again without a model.

What must match for a hit:

- the line number, and the HEAD characters before the place where the suggestion was made;
- between that place and the cursor: a beginning of the suggestion, but not all of it (so a part
  that was typed and deleted again hits as well);
- the rest of the cursor's line and the next lines. Closers the editor typed by itself for brackets
  and quotes opened on the way may stand in between; the answer then ends where they begin.

A thorough request, one made by hand, wants several candidates and several lines: only what came of
another thorough one answers it. Any outcome answers a request that isn't.

An edit further away that leaves the line number alone may hit: a suggestion that was right a moment
ago still is. Knows no clock: `now` is monotonic seconds and passed in. Called by the completer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from codegeex_lsp.completion.brackets import auto_closed, until_closer
from codegeex_lsp.completion.context import Context
from codegeex_lsp.completion.suggestion import Suggestion
from codegeex_lsp.text.documents import Position
from model_runtime.wire.protocol import Reason

HEAD = 512
BELOW = 4

# Only what would come out the same again; BUSY or LOADING says nothing about the place.
LASTING = frozenset(
    {
        Reason.NOTHING_GENERATED,
        Reason.BLANK,
        Reason.REPEATS_SUFFIX,
        Reason.REPEATS_ITSELF,
        Reason.LOW_CONFIDENCE,
    }
)

Cached = tuple[Suggestion, ...] | Reason


@dataclass(frozen=True, slots=True)
class _Entry:
    """What came of one request, and the text that stood around it. Line ends are "\\n".

    `lines_down` is how many lines below `position` typing the longest suggestion can lead.
    """

    position: Position
    head: str
    line_after: str
    lines_below: tuple[str, ...]
    outcome: Cached
    thorough: bool
    lines_down: int
    created: float
    characters: int


class SuggestionCache:
    """The newest outcomes of all documents; the oldest leave first.

    The limits bound memory: `max_characters` counts suggestions and the text kept around them.
    A reason lives `reason_age_s` only, for the next try may find more context or another model.
    """

    def __init__(
        self,
        *,
        max_entries: int = 64,
        max_characters: int = 512 * 1024,
        max_age_s: float = 300.0,
        reason_age_s: float = 2.0,
    ) -> None:
        self._max_entries = max_entries
        self._max_characters = max_characters
        self._max_age_s = max_age_s
        self._reason_age_s = reason_age_s
        self._entries: OrderedDict[tuple[str, Position], _Entry] = OrderedDict()
        self._characters = 0

    def put(
        self, uri: str, context: Context, outcome: Cached, now: float, *, thorough: bool = False
    ) -> None:
        """Keep what came of the request at `context`, in place of what was known there.

        `thorough` says that all was tried that somebody who asks can expect, not one quick line.
        """
        if isinstance(outcome, Reason) and outcome not in LASTING:
            return
        key = (uri, context.position)
        self._remove(key)
        entry = _entry(context, outcome, now, thorough)
        self._entries[key] = entry
        self._characters += entry.characters
        while len(self._entries) > self._max_entries or self._characters > self._max_characters:
            self._remove(next(iter(self._entries)))

    def get(
        self, uri: str, context: Context, now: float, *, thorough: bool = False
    ) -> Cached | None:
        """What is still to be typed of the newest suggestions that fit, a reason, or None.

        With `thorough` only what was put so is good enough.
        """
        for entry in self._near(uri, context.position.line, now):
            outcome = _answer(entry, context) if entry.thorough or not thorough else None
            if outcome is not None:
                return outcome
        return None

    def forget(self, uri: str) -> None:
        """Drop everything about a document that was closed."""
        for key in [key for key in self._entries if key[0] == uri]:
            self._remove(key)

    def _near(self, uri: str, line: int, now: float) -> Iterator[_Entry]:
        """The entries young enough whose suggestions can lead to `line`, newest first."""
        for (owner, place), entry in reversed(self._entries.items()):
            if 0 <= line - place.line <= entry.lines_down and owner == uri:
                limit = self._reason_age_s if isinstance(entry.outcome, Reason) else self._max_age_s
                if now - entry.created <= limit:
                    yield entry

    def _remove(self, key: tuple[str, Position]) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._characters -= entry.characters


def _entry(context: Context, outcome: Cached, now: float, thorough: bool) -> _Entry:
    if not isinstance(outcome, Reason):
        outcome = tuple(
            replace(one, text=one.text.replace(context.newline, "\n")) for one in outcome
        )
    texts = [] if isinstance(outcome, Reason) else [one.text for one in outcome]
    head, below = context.prefix[-HEAD:], context.lines_below[:BELOW]
    return _Entry(
        context.position,
        head,
        context.line_after,
        below,
        outcome,
        thorough,
        lines_down=max((text.count("\n") for text in texts), default=0),
        created=now,
        characters=sum(map(len, (head, context.line_after, *below, *texts))),
    )


def _answer(entry: _Entry, context: Context) -> Cached | None:
    typed = _typed(entry, context)
    if typed is None or context.lines_below[:BELOW] != entry.lines_below:
        return None
    if isinstance(entry.outcome, Reason):
        return entry.outcome if not typed and context.line_after == entry.line_after else None
    closers = _new_closers(entry, context, typed)
    if closers is None:
        return None
    rests = (_rest(suggestion, typed, closers) for suggestion in entry.outcome)
    kept = [replace(one, text=one.text.replace("\n", context.newline)) for one in rests if one]
    return tuple(kept) or None


def _typed(entry: _Entry, context: Context) -> str | None:
    """The text between the entry's place and the cursor, None when that place is not before it.

    The entry is not below the cursor's line.
    """
    prefix, lines_down = context.prefix, context.position.line - entry.position.line
    if lines_down == 0:
        anchor = len(prefix) - (context.position.column - entry.position.column)
    else:
        anchor = _line_start(prefix, lines_down) + entry.position.column
    fits = 0 <= anchor <= len(prefix) and prefix.endswith(entry.head, 0, anchor)
    return prefix[anchor:] if fits else None


def _line_start(prefix: str, lines_down: int) -> int:
    """Where the line `lines_down` above the last one begins; 0 when it is not in `prefix`."""
    end = len(prefix)
    for _ in range(lines_down):
        end = max(0, prefix.rfind("\n", 0, end))
    return prefix.rfind("\n", 0, end) + 1


def _new_closers(entry: _Entry, context: Context, typed: str) -> str | None:
    """What the editor put between the cursor and the old rest of the line; None for other text."""
    if context.line_after == entry.line_after:
        return ""
    closers = auto_closed(typed)
    return closers if context.line_after == closers + entry.line_after else None


def _rest(suggestion: Suggestion, typed: str, closers: str) -> Suggestion | None:
    if not suggestion.text.startswith(typed):
        return None
    rest = suggestion.text[len(typed) :]
    if closers:
        rest = until_closer(rest.partition("\n")[0], closers[0])
    return replace(suggestion, text=rest) if rest.strip() else None
