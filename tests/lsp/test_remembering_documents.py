"""Which documents the runtime is told of, and that nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from editor import Editor
from fake_runtime import FakeRuntime
from wire import change_at

from codegeex_lsp.runtime.remembering import AT_ONCE, MAX_DOCUMENTS, Remembering
from codegeex_lsp.text.documents import Snapshot
from model_runtime.wire.protocol import MAX_REMEMBERED_CHARS, Forget, ModelState, Remember

Editors = Callable[..., Editor]
QUIET_S = 0.02


class Told:
    """What was sent; `remembering` is under test."""

    def __init__(self, wanted: Callable[[Snapshot], bool] = lambda snapshot: True) -> None:
        self.messages: list[Remember | Forget] = []
        self.remembering = Remembering(
            self.messages.append, wanted, quiet_s=QUIET_S, forgotten_after_s=QUIET_S
        )

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                await asyncio.sleep(0.001)


def snapshot(text: str, uri: str = "file:///a.py", version: int = 1) -> Snapshot:
    return Snapshot.of(uri, version, "python", text)


async def test_only_the_state_after_a_burst_of_changes_is_sent() -> None:
    told = Told()
    for version in range(1, 6):
        told.remembering.changed(snapshot(f"x = {version}\n", version=version))
        assert told.messages == []
    await told.until(1)
    await asyncio.sleep(3 * QUIET_S)
    assert told.messages == [Remember("file:///a.py", "x = 5\n")]


async def test_line_ends_are_the_protocols() -> None:
    told = Told()
    told.remembering.changed(snapshot("a\r\nb\rc\n"))
    await told.until(1)
    assert told.messages == [Remember("file:///a.py", "a\nb\nc\n")]


async def test_a_closed_document_is_forgotten_after_a_while() -> None:
    told = Told()
    told.remembering.changed(snapshot("x = 1\n"))
    await told.until(1)
    told.remembering.closed("file:///a.py")
    assert len(told.messages) == 1
    await told.until(2)
    assert told.messages[1] == Forget("file:///a.py")


async def test_a_document_opened_again_in_time_is_kept() -> None:
    told = Told()
    told.remembering.closed("file:///a.py")
    told.remembering.changed(snapshot("x = 1\n"))
    await told.until(1)
    await asyncio.sleep(3 * QUIET_S)
    assert told.messages == [Remember("file:///a.py", "x = 1\n")]


async def test_too_long_and_unwanted_documents_are_not_sent_but_forgotten() -> None:
    told = Told(lambda snapshot: "secret" not in snapshot.uri)
    told.remembering.changed(snapshot("x" * (MAX_REMEMBERED_CHARS + 1)))
    told.remembering.changed(snapshot("x = 1\n", "file:///secret.py"))
    await told.until(2)
    assert told.messages == [Forget("file:///a.py"), Forget("file:///secret.py")]


async def test_of_ten_thousand_documents_the_newest_go_out_a_few_at_a_time() -> None:
    told = Told()
    for number in range(10_000):
        told.remembering.changed(snapshot("x = 1\n", f"file:///{number}.py"))
    await told.until(1)
    assert len(told.messages) == AT_ONCE
    await told.until(MAX_DOCUMENTS)
    assert [one.document for one in told.messages] == [
        f"file:///{number}.py" for number in range(10_000 - MAX_DOCUMENTS, 10_000)
    ]


def texts(fake: FakeRuntime) -> dict[str, str]:
    return dict(fake.remembered)


def test_the_editors_documents_reach_the_runtime(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file("first = 1\n")
    fake.wait(lambda it: it.remembered.get(file.uri) == "first = 1\n")
    editor.change(file.uri, 2, change_at((0, 0), (0, 5), "second"))
    fake.wait(lambda it: it.remembered.get(file.uri) == "second = 1\n")


def test_a_disabled_language_is_not_sent(fake: FakeRuntime, editors: Editors) -> None:
    window = editors()
    window.begin(options={"completion": {"disabledLanguages": ["python"]}})
    window.ready()
    hidden = window.file("first = 1\n")
    shown = window.file("let first = 1\n", "rust")
    fake.wait(lambda it: shown.uri in it.remembered)
    assert hidden.uri not in texts(fake)
    window.configure({"completion": {"disabledLanguages": ["rust"]}})
    fake.wait(lambda it: hidden.uri in it.remembered and shown.uri not in it.remembered)


def test_a_new_runtime_is_told_of_everything_again(fake: FakeRuntime, editor: Editor) -> None:
    file = editor.file("first = 1\n")
    fake.wait(lambda it: file.uri in it.remembered)
    fake.remembered.clear()
    fake.push(ModelState("loading"))
    fake.push(ModelState("ready"))
    fake.wait(lambda it: file.uri in it.remembered)
