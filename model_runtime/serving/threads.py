"""The daemon's threads: none of them ends by a failure without somebody being told.

Knows none of their work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from model_runtime import logs


class Threads:
    """`failed` gets what ended one, in that thread."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._begun: list[threading.Thread] = []

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Do it in a thread of its own."""

        def until_it_fails() -> None:
            try:
                work()
            except BaseException as error:  # a panic in Rust is no Exception
                logs.failure(f"the thread {name} ended", error)
                self._failed(error)

        thread = threading.Thread(target=until_it_fails, name=name, daemon=True)
        self._begun.append(thread)
        thread.start()

    def ended_within(self, seconds: float) -> bool:
        """Wait for all of them, at most so long in all."""
        end = time.monotonic() + seconds
        for thread in self._begun:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._begun)
