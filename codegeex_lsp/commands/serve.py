"""`codegeex-lsp serve`: the language server on stdin and stdout, until the editor ends it."""

from __future__ import annotations

from codegeex_lsp.config import logs
from codegeex_lsp.lsp.structuring import import_lsprotocol


def run(log_level: str) -> int:
    """The exit code: 0 after shutdown and exit, 1 when the editor left without."""
    import_lsprotocol()
    from codegeex_lsp.lsp.transport import run_stdio
    from codegeex_lsp.server import build

    logs.configure(log_level)
    return run_stdio(build())
