"""What tests ask of a window whose workspace is indexed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from editor import Editor
from fake_runtime import FakeRuntime
from wire import TIMEOUT_S, Json


def search(window: Editor, query: str, **more: Any) -> list[Json]:
    places: list[Json] = window.call("codegeex/search", {"query": query, **more})["places"]
    return places


def indexed(window: Editor) -> Json:
    """Start the index and wait for it; answers the status."""
    window.call("codegeex/search", {"query": "anything"})
    status: Json = window.wait_notification(
        "codegeex/status", lambda it: it["index"]["phase"] == "ready"
    )
    return status


def until(look: Callable[[], Any]) -> Any:
    """What `look` finds, asked again and again."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


def remembered(fake: FakeRuntime, project: Path) -> set[str]:
    return {Path(uri).name for uri in fake.remembered if uri.startswith(project.as_uri())}
