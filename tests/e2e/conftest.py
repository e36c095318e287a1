"""Lends these tests the raw LSP client and the editor of tests/lsp."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "lsp"))
