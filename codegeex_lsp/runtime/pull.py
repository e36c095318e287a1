"""Fetch a model in a process of its own: what it takes, how far it is, and where it ended up.

Runs `codegeex-runtime models pull --json` and reads its events. Cancelling ends the process; what
has come stays in the user's cache for the next time. It knows no editor.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-P", "-m", "model_runtime", "models", "pull", "--json", "--")


class PullFailedError(Exception):
    """Nothing was fetched, or not all; str() is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`agree` is asked with the size and the licence; `progress` gets bytes that are here, and all.

    What was here before is not asked about.
    """

    agree: Callable[[str], Awaitable[bool]]
    progress: Callable[[int, int], None]


async def pull(model: str, listener: Listener) -> Path | None:
    """The model's folder, None when `agree` said no. Raises PullFailedError."""
    async with _running(model) as process:
        assert process.stdin is not None  # noqa: S101 - piped below
        assert process.stdout is not None  # noqa: S101
        async for line in process.stdout:
            event = json.loads(line)
            kind = event["event"]
            if kind == "question":
                if not await listener.agree(event["text"]):
                    return None
                process.stdin.write(b"yes\n")
            elif kind == "progress":
                listener.progress(event["done"], event["size"])
            elif kind == "done":
                return Path(event["folder"])
            elif kind == "failed":
                raise PullFailedError(event["text"])
    raise PullFailedError("Fetching the model ended early; codegeex-lsp doctor may tell why.")


@asynccontextmanager
async def _running(model: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        model,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
