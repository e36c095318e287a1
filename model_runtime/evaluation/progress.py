"""A bar on the terminal; nothing where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm  # type: ignore[import-untyped]


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Gives what is to be told how many more are done."""
    with tqdm(total=total, desc=what, unit=unit, disable=None) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        yield advance
