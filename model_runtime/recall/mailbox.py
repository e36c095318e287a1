"""Texts on their way from the connections to the memory: the newest of each document, in order.

The event loop puts them in and never waits; the memory's thread takes them out. A text that another
one follows before it was taken is never looked at. It knows neither tokens nor sockets.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

# Texts of all clients that may wait, while the model is loaded or while 10,000 files are opened;
# past that the oldest are forgotten.
CAPACITY = 512


@dataclass(frozen=True, slots=True)
class Letter:
    """A text to remember; without one, a document to forget; without that, a client to forget."""

    client: int
    document: str | None = None
    text: str | None = None


class Mailbox:
    """Any thread may put; one takes."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._letters: OrderedDict[tuple[int, str | None], Letter] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, letter: Letter) -> None:
        """Leave a letter, in place of an older one about the same document."""
        with self._changed:
            if letter.document is None:
                self._drop_client(letter.client)
            self._letters.pop((letter.client, letter.document), None)
            self._letters[letter.client, letter.document] = letter
            if len(self._letters) > self._capacity:
                self._drop_oldest_text()
            self._changed.notify()

    def take(self) -> Letter | None:
        """The oldest letter. Blocks until there is one; None once the mailbox is closed."""
        with self._changed:
            while not self._letters and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            return self._letters.popitem(last=False)[1]

    def close(self) -> None:
        """Throw all away; take() gives None from now on."""
        with self._changed:
            self._closed = True
            self._letters.clear()
            self._changed.notify_all()

    def _drop_client(self, client: int) -> None:
        for key in [key for key in self._letters if key[0] == client]:
            del self._letters[key]

    def _drop_oldest_text(self) -> None:
        """What says "forget" is never dropped."""
        for key, letter in self._letters.items():
            if letter.text is not None:
                del self._letters[key]
                return
