"""When the text of one candidate is finished, decided while it grows.

Knows text and token counts, no model and no clock: the engine tells it when the model said end of
text or the deadline passed. Text that might still turn into a stop string is held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finish(StrEnum):
    """The words of protocol.Candidate.finish."""

    END = "end"
    LINES = "lines"
    STOP = "stop"
    LENGTH = "length"
    DEADLINE = "deadline"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class StopRules:
    """`max_lines` counts lines with something in them, 0 means no limit."""

    max_new_tokens: int
    max_lines: int = 0
    stop: tuple[str, ...] = ()


class StoppingText:
    """The text so far. `text` only ever grows and never holds any part of a stop string."""

    def __init__(self, rules: StopRules) -> None:
        self.text = ""
        self.tokens = 0
        self.finish: Finish | None = None
        self._held = ""
        self._rules = rules
        self._stops = tuple(stop for stop in rules.stop if stop)
        self._lines = 0
        self._line_has_text = False

    def push(self, piece: str) -> str:
        """Add the text of one token ("" for half a character); what may be shown by now."""
        self.tokens += 1
        self._held += piece
        cut = self._first_stop()
        if cut is not None:
            place, finish = cut
            return self._emit(place, finish)
        if self.tokens >= self._rules.max_new_tokens:
            return self.end(Finish.LENGTH)
        return self._emit(len(self._held) - self._doubtful())

    def end(self, finish: Finish) -> str:
        """Finish from outside; gives the text that was held back."""
        return self._emit(len(self._held), finish)

    def _emit(self, length: int, finish: Finish | None = None) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        self._count_lines(shown)
        self.text += shown
        self.finish = finish
        return shown

    def _first_stop(self) -> tuple[int, Finish] | None:
        """Where in the held text it ends; of two ends the earlier one counts."""
        ends = [
            (place, Finish.STOP) for stop in self._stops if (place := self._held.find(stop)) >= 0
        ]
        if (place := self._last_line_end()) >= 0:
            ends.append((place, Finish.LINES))
        return min(ends, default=None)

    def _last_line_end(self) -> int:
        """Where the last allowed line ends, before its "\\n" or "\\r\\n"; -1 when it goes on."""
        if not self._rules.max_lines:
            return -1
        lines, has_text, begin = self._lines, self._line_has_text, 0
        while (place := self._held.find("\n", begin)) >= 0:
            lines += has_text or not _blank(self._held[begin:place])
            if lines >= self._rules.max_lines:
                return place - self._held[:place].endswith("\r")
            has_text, begin = False, place + 1
        return -1

    def _count_lines(self, shown: str) -> None:
        for index, part in enumerate(shown.split("\n")):
            if index:
                self._lines += self._line_has_text
                self._line_has_text = False
            self._line_has_text = self._line_has_text or not _blank(part)

    def _doubtful(self) -> int:
        """How many held characters at the end could still become a stop string or a line's end."""
        longest = int(self._rules.max_lines > 0 and self._held.endswith("\r"))
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:length]):
                    longest = length
                    break
        return longest


def _blank(text: str) -> bool:
    return not text or text.isspace()
