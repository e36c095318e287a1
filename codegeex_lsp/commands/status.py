"""`codegeex-lsp status`: the runtime's own report, and what the open editors last said."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from codegeex_lsp.config.settings import load_trusted
from codegeex_lsp.runtime.client import RuntimeClient, Unanswered
from model_runtime.wire.protocol import StatusReport


def run(*, as_json: bool) -> int:
    """Exit code 0 with a report, 1 when no runtime runs."""
    status = asyncio.run(_status())
    if status is None:
        print("No model runtime is running; one starts with the first completion.", file=sys.stderr)
        return 1
    print(json.dumps(status.report, indent=2) if as_json else "\n".join(status.lines))
    return 0


async def _status() -> StatusReport | None:
    trusted, _ = load_trusted(os.environ)
    runtime = RuntimeClient(trusted)
    try:
        return await runtime.status() if await runtime.attach() else None
    except Unanswered:
        return None
    finally:
        await runtime.close()
