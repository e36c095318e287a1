"""The index's process: `python -m codegeex_lsp.index`, started by the server alone."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from typing import Any

from codegeex_lsp.index import limits
from codegeex_lsp.index.service import Inbox, Service

# Editing and completing come first on a machine of two cores.
NICENESS = 10
# A step that a hanging network drive holds up must not outlive the editor.
GRACE_S = 5.0


def main() -> None:
    limits.hold()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    inbox = Inbox()

    def read() -> None:
        try:
            inbox.fill(sys.stdin.buffer)
        except MemoryError:
            os._exit(1)
        last = threading.Timer(GRACE_S, os._exit, (1,))
        last.daemon = True
        last.start()

    threading.Thread(target=read, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        Service(inbox, _say).run()
    sys.stdout = None  # the pipe is closed; flushing it once more would fail


def _say(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
