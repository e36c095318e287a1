"""Which unopened files the runtime is told of."""

from __future__ import annotations

import asyncio

from codegeex_lsp.workspace.neighbours import MOST, NEAREST, Neighbours
from model_runtime.wire.protocol import Forget, Remember


async def test_of_ten_thousand_documents_the_newest_are_asked_about_one_after_the_other() -> None:
    asked: list[str] = []
    told: list[Remember | Forget] = []
    may_answer, done = asyncio.Event(), asyncio.Event()

    async def ask(
        path: str, limit: int, opened: list[str]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        asked.append(path)
        await may_answer.wait()
        if path == "/9999.py":
            done.set()
        return [(f"/near{path}", "x = 1\n")], opened

    neighbours = Neighbours(ask, told.append, str, lambda: ())
    neighbours.opened("file:///0.py")
    await asyncio.sleep(0)
    for number in range(10_000):
        neighbours.opened(f"file:///{number}.py")
    await asyncio.sleep(0)
    assert asked == ["/0.py"]
    may_answer.set()
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.sleep(0)
    newest = [f"/{number}.py" for number in range(10_000 - MOST // NEAREST, 10_000)]
    assert asked == ["/0.py", *newest]
    assert [one.document for one in told] == [f"file:///near{path}" for path in asked]
