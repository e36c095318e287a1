"""The server's side of the index with the real process: how it ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from codegeex_lsp.workspace import index_client
from codegeex_lsp.workspace.index_client import IndexClient, IndexPhase, IndexState, NoIndexError

BOUNDS = {"files": 100, "file_bytes": 100_000, "bytes": 1_000_000}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CODEGEEX_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "reader.py").write_text("def read(): ...\n")
    return str(tmp_path / "project")


async def test_a_closed_one_stays_closed_and_is_no_failure(root: str) -> None:
    states: list[IndexState] = []
    client = IndexClient(states.append)
    client.start([root], BOUNDS)
    async with asyncio.timeout(30):
        while not (await client.search("read", 1))[0]:
            await asyncio.sleep(0.01)
    await client.close()
    client.start([root], BOUNDS)
    with pytest.raises(NoIndexError, match="was stopped"):
        await client.search("read", 1)
    assert states[-1].phase is IndexPhase.OFF
    assert all(state.phase is not IndexPhase.FAILED for state in states)


async def test_a_question_that_waits_when_it_is_closed_gets_a_sentence(root: str) -> None:
    client = IndexClient(lambda _: None)
    client.start([root], BOUNDS)
    question = asyncio.create_task(client.search("read", 1))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(NoIndexError, match="was stopped"):
        await question


FAULTY = """
import sys
from codegeex_lsp.index import __main__, workspace

def failing(work):
    def work_or_fail(*arguments):
        if any("POISON" in str(one) for one in arguments):
            raise SystemExit("POISON")
        return work(*arguments)
    return work_or_fail

for name in ("opened", "search", "alike", "lacking", "neighbours", "changed"):
    setattr(workspace.Workspace, name, failing(getattr(workspace.Workspace, name)))
if "walk" in sys.argv:
    workspace.Workspace.walk = failing(lambda self: self.opened("POISON", ""))
__main__.main()
"""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """An index that panics at POISON."""
    command = (sys.executable, "-c", FAULTY)
    monkeypatch.setattr(index_client, "COMMAND", command)
    return command


async def test_a_question_that_fails_has_its_sentence_and_the_next_its_answer(
    root: str, faulty: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    client = IndexClient(lambda _: None)
    client.start([root], BOUNDS)
    for _ in range(4):
        for asked in (
            client.search("POISON", 1),
            client.alike("POISON", "", 1),
            client.lacking("POISON", 1),
            client.neighbours("POISON", 1, []),
        ):
            with pytest.raises(NoIndexError, match="failed with SystemExit"):
                await asked
    client.opened("b.py", "POISON")
    client.changed(["POISON"])
    assert await client.neighbours("b.py", 1, [])
    assert (await client.search("read", 1))[0]
    assert client.state.phase is IndexPhase.READY
    await client.close()
    assert "search: SystemExit at " in caplog.text
    assert "opened: SystemExit at " in caplog.text
    assert "POISON" not in caplog.text


async def test_steps_that_fail_in_a_row_end_the_index(root: str, faulty: tuple[str, ...]) -> None:
    client = IndexClient(lambda _: None)
    client.start([root], BOUNDS)
    await client.search("read", 1)
    for _ in range(3):
        client.opened("b.py", "POISON")
    async with asyncio.timeout(30):
        while client.state.phase is not IndexPhase.FAILED:
            await asyncio.sleep(0.01)
    with pytest.raises(NoIndexError, match="again and again with SystemExit"):
        await client.search("read", 1)
    await client.close()


async def test_a_walk_that_fails_is_no_endless_one(
    root: str, faulty: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_client, "COMMAND", (*faulty, "walk"))
    client = IndexClient(lambda _: None)
    client.start([root], BOUNDS)
    async with asyncio.timeout(30):
        while client.state.phase is not IndexPhase.FAILED:
            await asyncio.sleep(0.01)
    await client.close()


async def test_an_answer_is_as_long_as_it_is(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = """
import sys
begin, question = sys.stdin.readline(), sys.stdin.readline()
print('{"id": 1, "texts": [["a.py", "' + "x" * 40_000_000 + '"]], "opened": []}', flush=True)
"""
    monkeypatch.setattr(index_client, "COMMAND", (sys.executable, "-c", answer))
    client = IndexClient(lambda _: None)
    client.start([root], BOUNDS)
    async with asyncio.timeout(60):
        [(path, text)], _ = await client.neighbours("b.py", 1, [])
    assert (path, len(text)) == ("a.py", 40_000_000)
    await client.close()
