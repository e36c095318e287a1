"""`codegeex-lsp status`: the runtime's own report, and what the open editors last said."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from codegeex_lsp.runtime.client import RuntimeClient, Unanswered
from model_runtime.wire.configuration import TrustedSettings, load_trusted
from model_runtime.wire.protocol import StatusReport


def run(*, as_json: bool) -> int:
    """Exit code 0 with a report, 1 when no runtime runs."""
    trusted, complaints = load_trusted(os.environ)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    status = asyncio.run(_status(trusted))
    if status is None:
        print(
            f"No model runtime is running for {trusted.model}; one starts with the first "
            "completion.",
            file=sys.stderr,
        )
        return 1
    print(json.dumps(status.report, indent=2) if as_json else "\n".join(status.lines))
    return 0


async def _status(trusted: TrustedSettings) -> StatusReport | None:
    runtime = RuntimeClient(trusted)
    try:
        return await runtime.status() if await runtime.attach() else None
    except Unanswered:
        return None
    finally:
        await runtime.close()
