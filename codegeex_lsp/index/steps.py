"""The index's steps: one that fails costs its own question and no other.

It knows no file and no search. service.py takes its steps through it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_FAILED_IN_A_ROW = 3


class Steps:
    """`say` brings a message to the server, where the log is."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._failed_in_a_row = 0

    @contextmanager
    def one(self, message: dict[str, Any]) -> Iterator[None]:
        """What `message` asks for. Raises what the third step in a row fails with, questions not
        counted: those have an answer that says so."""
        asked = "id" in message
        try:
            yield
        except BrokenPipeError:  # nobody is left to tell
            raise
        except BaseException as error:  # a panic in Rust is no Exception
            self._say({"trouble": f"{message['do']}: {_place(error)}"})
            if asked:
                kind = type(error).__name__
                self._say({"id": message["id"], "failed": f"The index failed with {kind} at this."})
                return
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= MOST_FAILED_IN_A_ROW:
                raise
        else:
            if not asked:
                self._failed_in_a_row = 0


def _place(error: BaseException) -> str:
    """Without its message and without source lines: either may hold somebody's text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {places}"
