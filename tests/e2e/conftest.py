"""Lends these tests the editors of tests/lsp and the tiny model of tests/runtime."""

from __future__ import annotations

import sys
from pathlib import Path

for name in ("lsp", "runtime"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / name))
