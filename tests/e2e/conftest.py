"""Lends these tests the raw LSP client and the editor of tests/lsp and the model of tests/runtime."""

from __future__ import annotations

import sys
from pathlib import Path

for name in ("lsp", "runtime"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / name))
