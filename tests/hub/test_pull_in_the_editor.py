"""codegeex/pullModel: a real server, the runtime's real command, and a hub on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from editor import INLINE, Editor
from local_hub import LocalHub
from sample_model import MODEL, SHARDS
from wire import WireError

METHOD = "codegeex/pullModel"
QUESTION = "window/showMessageRequest"
WITH_BAR = INLINE | {"window": {"workDoneProgress": True}}
FETCH = {"title": "Fetch"}


@pytest.fixture
def editor() -> Iterator[Editor]:
    """A window whose user agrees."""
    with Editor(answers={QUESTION: FETCH}) as editor:
        editor.begin(WITH_BAR)
        yield editor


def bar(editor: Editor) -> list[dict[str, Any]]:
    told = [it["params"] for it in editor.messages if it.get("method") == "$/progress"]
    return [it["value"] for it in told if it["token"].startswith("codegeex-pull-")]


def begun(editor: Editor) -> str:
    """Wait for the bar; answers its token."""
    told = editor.wait_notification(
        "$/progress", lambda it: it["token"].startswith("codegeex-pull-")
    )
    token: str = told["token"]
    return token


def pulling(editor: Editor) -> list[psutil.Process]:
    server = psutil.Process(editor.process.pid)
    return [child for child in server.children(recursive=True) if "pull" in child.cmdline()]


def parts(user: Path) -> list[Path]:
    return list(user.glob("hub/*/blobs/*.incomplete"))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def whole(user: Path) -> bool:
    return len(list(user.glob(f"hub/*/snapshots/*/{SHARDS[0]}"))) == 1


def test_the_user_is_asked_sees_a_bar_and_hears_how_to_use_it(editor: Editor, user: Path) -> None:
    result = editor.call(METHOD, {"model": MODEL})
    assert Path(result["folder"], SHARDS[0]).is_file()
    (question,) = [it["params"] for it in editor.messages if it.get("method") == QUESTION]
    assert question["message"].startswith(f"CodeGeeX: Fetch {MODEL}: 6 MB of 6 MB, Apache-2.0, to")
    assert question["actions"] == [FETCH]

    begin, *reports, end = bar(editor)
    assert (begin["kind"], begin["cancellable"], end["kind"]) == ("begin", True, "end")
    assert begin["title"] == f"CodeGeeX: fetching {MODEL}"
    percentages = [report["percentage"] for report in reports]
    assert percentages == sorted(set(percentages))
    assert percentages[-1] == 100
    assert editor.told()[-1].endswith(f"run: codegeex-lsp models use {MODEL}")
    assert not pulling(editor)


def test_a_user_who_says_no_fetches_nothing(editor: Editor, hub: LocalHub) -> None:
    editor.answers[QUESTION] = None
    assert editor.call(METHOD, {"model": MODEL}) == {
        "folder": None,
        "message": f"{MODEL} was not fetched.",
    }
    assert not hub.asked
    assert not bar(editor)
    assert not pulling(editor)


def test_the_bar_can_be_cancelled_and_the_next_pull_goes_on(
    editor: Editor, user: Path, hub: LocalHub
) -> None:
    hub.hold.update(SHARDS)
    request = editor.request(METHOD, {"model": MODEL})
    token = begun(editor)
    until(lambda: sum(part.stat().st_size > 1_000_000 for part in parts(user)) == 2)
    editor.notify("window/workDoneProgress/cancel", {"token": token})
    result = editor.wait(request)["result"]
    assert result["folder"] is None
    assert result["message"].endswith("kept for the next time.")
    assert bar(editor)[-1]["kind"] == "end"
    assert not pulling(editor)
    assert not whole(user)

    hub.held.set()
    hub.asked.clear()
    assert editor.call(METHOD, {"model": MODEL})["folder"]
    assert all(hub.fetched(name)[0] > 0 for name in SHARDS)
    assert whole(user)


def test_a_cancelled_request_ends_the_process(editor: Editor, hub: LocalHub) -> None:
    hub.hold.update(SHARDS)
    request = editor.request(METHOD, {"model": MODEL})
    begun(editor)
    (process,) = pulling(editor)
    editor.cancel(request)
    assert editor.wait(request)["error"]["code"] == -32800
    process.wait(10)


def test_the_process_ends_with_the_server(editor: Editor, hub: LocalHub) -> None:
    hub.hold.update(SHARDS)
    editor.request(METHOD, {"model": MODEL})
    begun(editor)
    (process,) = pulling(editor)
    editor.shutdown()
    process.wait(10)


def test_an_editor_without_a_bar_still_gets_the_model() -> None:
    with Editor(answers={QUESTION: FETCH}) as editor:
        editor.begin()
        assert editor.call(METHOD, {"model": MODEL})["folder"]
        assert not bar(editor)


def test_a_failure_is_one_sentence_for_the_user(editor: Editor, hub: LocalHub) -> None:
    hub.repositories.clear()
    result = editor.call(METHOD, {"model": MODEL})
    assert result["folder"] is None
    assert "The hub at" in result["message"]
    assert editor.told()[-1] == f"CodeGeeX: {result['message']}"


def test_an_unknown_model_is_answered_with_the_nearest(editor: Editor) -> None:
    result = editor.call(METHOD, {"model": "--help"})
    assert result["message"].startswith('There is no model "--help"')
    result = editor.call(METHOD, {"model": "mellum"})
    assert "mellum-4b" in result["message"]


@pytest.mark.parametrize("params", [{}, {"model": 1}, None, []])
def test_bad_parameters_get_an_error(editor: Editor, params: Any) -> None:
    with pytest.raises(WireError) as error:
        editor.call(METHOD, params)
    assert error.value.code == -32602
