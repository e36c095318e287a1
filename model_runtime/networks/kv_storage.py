"""The bytes behind keys and values: taken as they are written, given back when they are forgotten.

On a CPU they are the system's own pages, zeros that are in memory only once something was written
to them; a cache for long texts so costs what the texts of today take. Elsewhere it is the device's
memory, all of it at once. kv_cache.py knows what lies where; nobody else comes here.
"""

from __future__ import annotations

import math
import mmap
import sys

import torch
from torch import Tensor

PAGE = mmap.PAGESIZE


class Storage:
    """Zeros [layers, rows, heads, context, head_dim] as `tensor`.

    Raises MemoryError or torch's own error when there is no memory.
    """

    def __init__(
        self, shape: tuple[int, int, int, int, int], dtype: torch.dtype, device: torch.device
    ) -> None:
        self._shape = shape
        self._pages: mmap.mmap | None = None
        if device.type != "cpu":
            self.tensor: Tensor = torch.zeros(shape, dtype=dtype, device=device)
            return
        self._pages = _pages(math.prod(shape) * dtype.itemsize)
        self.tensor = torch.frombuffer(self._pages, dtype=dtype).view(shape)

    def forget(self, row: int, start: int = 0) -> None:
        """Give back the whole pages that hold the positions of `row` from `start` on.

        What is read there afterwards is zeros, or where a system is lazy what was there before.
        """
        if self._pages is None or not hasattr(self._pages, "madvise"):
            return
        layers, rows, heads, context, _ = self._shape
        row_bytes = self.tensor.nbytes // (layers * rows)
        # From the first position on a row's heads lie behind each other.
        pieces = 1 if start == 0 else heads
        size, skipped = row_bytes // pieces, start * (row_bytes // heads // context)
        for layer in range(layers):
            for piece in range(pieces):
                begin = (layer * rows + row) * row_bytes + piece * size
                self._drop(self._pages, begin + skipped, begin + size)

    def _drop(self, pages: mmap.mmap, begin: int, end: int) -> None:
        first = -(-begin // PAGE) * PAGE
        if (length := end // PAGE * PAGE - first) > 0:
            pages.madvise(mmap.MADV_DONTNEED, first, length)


def _pages(size: int) -> mmap.mmap:
    try:
        return _mapped(size)
    except OSError as error:
        raise MemoryError(f"{size} bytes can't be mapped") from error


def _mapped(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        # A huge page holds 2 MiB: with them one token would take half of the cache.
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return pages
