"""The index as a process sees it: messages from the server in, answers and its state out.

One JSON object a line each way. The first message is "begin". A thread reads; the main thread does
one thing at a time and, while it works on many files, answers questions between two of them. A
cancelled question is dropped, or stopped in the middle; a walk ends when "move" or
"exclude" waits. When the
server's end closes, everything stops.

    {"do": "begin", "roots": [...], "bounds": {...}, "exclude": [...]}
    {"do": "move", "roots": [...]}                      {"do": "exclude", "globs": [...]}
    {"do": "search", "id": 1, "question": "...", "limit": 10, "under": ""}
    {"do": "alike", "id": 2, "text": "...", "path": "...", "limit": 3}
    {"do": "cancel", "id": 1}
    {"do": "opened", "path": "...", "text": "..."}      {"do": "closed", "path": "..."}
    {"do": "changed", "paths": [...]}
    {"do": "lacking", "id": 3, "model": "...", "limit": 16}
    {"do": "neighbours", "id": 4, "path": "...", "limit": 8, "opened": ["..."]}
    {"do": "embedded", "model": "...", "keys": [...], "vectors": "..."}

    {"id": 1, "places": [[path, first, last, title, text, score], ...], "by_vector": false}
    {"id": 2, "gone": true}      {"id": 3, "texts": [[key or path, text], ...]}
    {"id": 4, "texts": [[path, text], ...], "opened": ["..."]}
    {"id": 4, "failed": "a sentence"}      {"trouble": "what: an error and its place, for the log"}
    {"phase": "ready", "message": "", "files": 10, "chunks": 50, "left_out": {"ignored": 2}}

A search may have the question's "vector" and its "model". Vectors are float32 in base64, one behind
another; keys are hexadecimal.
"""

from __future__ import annotations

import array
import base64
import json
import os
import sqlite3
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import IO, Any

from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.files.folders import Folders
from codegeex_lsp.index import cache, limits
from codegeex_lsp.index.files import Bounds
from codegeex_lsp.index.places import Place
from codegeex_lsp.index.steps import Steps
from codegeex_lsp.index.store import CancelledSearchError, NoSearchError, Store
from codegeex_lsp.index.workspace import Workspace

Message = dict[str, Any]

QUESTIONS = ("search", "alike")
# Editors tell of files that change, but not all of them do, and none tells of everything.
WALK_AGAIN_S = 600.0
STATE_EVERY_S = 0.5


class Inbox:
    """What came and was not looked at yet; filled by one thread, emptied by another."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._kinds: Counter[str] = Counter()  # of those that wait
        self._open: set[int] = set()  # questions that came and have no answer yet
        self._cancelled: set[int] = set()
        self._changed = threading.Condition()
        self.ended = False

    def fill(self, lines: IO[bytes]) -> None:
        """Read to the end, which is the server's end as well."""
        for line in lines:
            message = json.loads(line)
            with self._changed:
                if message["do"] == "cancel":
                    self._cancelled |= {message["id"]} & self._open
                else:
                    self._open |= {message["id"]} if message["do"] in QUESTIONS else set()
                    self._waiting.append(message)
                    self._kinds[message["do"]] += 1
                self._changed.notify()
        with self._changed:
            self.ended = True
            self._changed.notify()

    def take(self, timeout_s: float) -> Message | None:
        """The oldest message; None at the end, or when none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.ended, timeout_s)
            if self.ended or not self._waiting:
                return None
            message = self._waiting.popleft()
            self._kinds[message["do"]] -= 1
            return message

    def questions(self) -> list[Message]:
        """Take the questions only; what changes the index stays in its order."""
        with self._changed:
            if not any(self._kinds[kind] for kind in QUESTIONS):
                return []
            found = [message for message in self._waiting if message["do"] in QUESTIONS]
            for message in found:
                self._waiting.remove(message)
                self._kinds[message["do"]] -= 1
            return found

    def has(self, kind: str) -> bool:
        """Whether such a message waits."""
        return self._kinds[kind] > 0

    def answered(self, number: int) -> None:
        """Nobody cancels that question any more, and if so, late."""
        with self._changed:
            self._open.discard(number)
            self._cancelled.discard(number)

    def is_cancelled(self, number: int) -> bool:
        return self.ended or number in self._cancelled


class Service:
    """Serves one server, from "begin" to the end of the inbox. `say` writes one message."""

    def __init__(self, inbox: Inbox, say: Callable[[Message], None]) -> None:
        self._inbox = inbox
        self._say = say
        self._told = 0.0
        self._phase = "indexing"
        self._steps = Steps(say)

    def run(self) -> None:
        """Until the inbox ends, or with a failed state when there can be no index."""
        begin = self._inbox.take(timeout_s=60.0)
        if begin is None:
            return
        self._bounds = Bounds(**begin["bounds"])
        try:
            directory = cache.folder(os.environ)
            path, lock = cache.claim(directory, Folders(begin["roots"]).real)
            cache.tidy(directory)
            with lock:
                store = Store(path)
                try:
                    roots, exclude = begin["roots"], begin.get("exclude", ())
                    self._serve(Workspace(store, roots, self._bounds, self._alive, exclude))
                finally:
                    store.close()
        except NoSearchError as error:
            self._fail(str(error))
        except MemoryError:
            self._fail(
                f"The index of the workspace needs more than {limits.MOST_MEMORY >> 20} MiB of "
                f"memory; lower codegeex.index.maxFiles, or turn off codegeex.index.enabled."
            )
        except BrokenPipeError:
            raise
        except (OSError, sqlite3.Error) as error:
            self._fail(
                f"The index of the workspace can't be kept in {cache.folder(os.environ)} "
                f"({error}); make room there, or turn off codegeex.index.enabled."
            )

        except BaseException as error:  # a panic in Rust is no Exception
            self._fail(
                f"The index of the workspace failed again and again with {type(error).__name__}; "
                f"restart the editor to have it again, or turn off codegeex.index.enabled."
            )

    # --- the workspace --------------------------------------------------------------------------

    def _serve(self, workspace: Workspace) -> None:
        self._workspace = workspace
        walk_at = 0.0
        while not self._inbox.ended:
            limits.next_step()
            if time.monotonic() >= walk_at:
                with self._steps.one({"do": "walk"}):
                    self._walk()
                    walk_at = time.monotonic() + WALK_AGAIN_S
                continue  # one that failed is repeated before anything else
            message = self._inbox.take(walk_at - time.monotonic())
            if message is not None:
                with self._steps.one(message):
                    walk_at = 0.0 if self._handle(message) else walk_at

    def _walk(self) -> None:
        self._phase = "indexing"
        self._tell()
        if self._workspace.walk():
            self._phase = "ready"
            self._tell()

    def _handle(self, message: Message) -> bool:
        """True when all files must be looked at."""
        match message["do"]:
            case "opened":
                self._workspace.opened(message["path"], message["text"])
            case "closed":
                self._workspace.closed(message["path"])
            case "changed":
                return self._workspace.changed(message["paths"])
            case "lacking":
                texts = self._workspace.lacking(message["model"], message["limit"])
                told = [(key.hex(), text) for key, text in texts]
                self._say({"id": message["id"], "texts": told})
            case "neighbours":
                opened = message["opened"]
                near = self._workspace.neighbours(message["path"], message["limit"], opened)
                respelled = self._workspace.respelled(opened)
                self._say({"id": message["id"], "texts": near, "opened": respelled})
            case "move":
                self._workspace.move(message["roots"])
                return True
            case "exclude":
                self._workspace.exclude(message["globs"])
                return True
            case "embedded":
                keys = map(bytes.fromhex, message["keys"])
                vectors = _vectors(message["vectors"], len(message["keys"]))
                self._workspace.embedded(message["model"], zip(keys, vectors, strict=True))
            case _:
                self._answer(message)
        return False

    def _alive(self) -> bool:
        for question in self._inbox.questions():
            with self._steps.one(question):
                self._answer(question)
        if time.monotonic() - self._told > STATE_EVERY_S:
            self._tell()
            limits.next_step()
        return not self._inbox.ended and not any(map(self._inbox.has, ("move", "exclude")))

    # --- answering ------------------------------------------------------------------------------

    def _answer(self, question: Message) -> None:
        number = question["id"]

        def cancelled() -> bool:
            return self._inbox.is_cancelled(number)

        try:
            if cancelled():
                raise CancelledSearchError
            places, by_vector = self._found(question, cancelled)
        except CancelledSearchError:
            self._say({"id": number, "gone": True})
        else:
            plain = [place.plain() for place in places]
            self._say({"id": number, "places": plain, "by_vector": by_vector})
        finally:
            self._inbox.answered(number)

    def _found(self, question: Message, cancelled: Callable[[], bool]) -> tuple[list[Place], bool]:
        """The places, and whether a vector helped to find them."""
        asked, limit = self._workspace, question["limit"]
        if question["do"] == "alike":
            return asked.alike(question["text"], question["path"], limit, cancelled), False
        text, under = question["question"], question["under"]
        if not question.get("vector"):
            return asked.search(text, limit, under, cancelled), False
        [vector] = _vectors(question["vector"], 1)
        return asked.search_by_both(text, question["model"], vector, limit, under, cancelled)

    def _tell(self) -> None:
        self._told = time.monotonic()
        files, chunks = self._workspace.sizes
        left_out = {str(why): count for why, count in self._workspace.left_out.items()}
        message = ""
        if LeftOut.TOO_MANY in left_out:
            message = (
                f"The workspace is larger than its index may be: {files} files are in it, the rest "
                f"is left out; codegeex.index.maxFiles and codegeex.index.maxSize say how many."
            )
        self._say(
            {
                "phase": self._phase,
                "message": message,
                "files": files,
                "chunks": chunks,
                "left_out": left_out,
            }
        )

    def _fail(self, message: str) -> None:
        self._say({"phase": "failed", "message": message, "files": 0, "chunks": 0, "left_out": {}})


def _vectors(packed: str, count: int) -> list[Sequence[float]]:
    """Little-endian, as protocol.Embedding has them."""
    numbers = array.array("f", base64.b64decode(packed))
    if sys.byteorder == "big":
        numbers.byteswap()
    size = len(numbers) // count if count else 0
    return [numbers[begin : begin + size] for begin in range(0, size * count, size or 1)]
