"""The packaged extension in a real VS Code, by hand and eye: keys, ghost text, panels, status."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_runtime import MODEL, Answer, FakeRuntime, candidates, counted_letters
from local_hub import LocalHub
from new_user import new_user
from sample_model import HUB_ID, SHARDS, model_files
from sample_model import MODEL as MODEL_OF_THE_HUB
from vscode_program import ROOT
from workbench import Workbench

from codegeex_lsp import __version__
from model_runtime.wire import endpoint
from model_runtime.wire.protocol import (
    Failure,
    Generate,
    Loading,
    ModelState,
    Priority,
    Reason,
    Task,
)

# The first test waits for all that has to be fetched and built.
pytestmark = pytest.mark.timeout(400)

SERVER_PATH = "codegeex.server.path"
USE = ".codelens-decoration a:has-text('Use this code')"


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub({HUB_ID: model_files()}) as hub:
        yield hub


@pytest.fixture(scope="module")
def home(hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model is named in the configuration file, where the picker changes it."""
    with new_user(tmp_path_factory.mktemp("user")) as home, pytest.MonkeyPatch.context() as patch:
        patch.delenv("CODEGEEX_MODEL")
        (home / "config.toml").write_text(
            f'model = "{MODEL}"\nembedding_model = "letters"\nidle_exit_s = 1\n'
        )
        patch.setenv("HF_ENDPOINT", hub.address)
        patch.setenv("HF_HOME", str(home / "hub"))
        (home / "templates").mkdir()
        (home / "templates" / "shout.txt").write_text("# <INPUT>\n# louder:\n")
        yield home


@pytest.fixture(scope="module")
def runtime(home: Path) -> Iterator[FakeRuntime]:
    runtime = FakeRuntime().start()
    yield runtime
    runtime.stop()


@pytest.fixture(scope="module")
def opened(
    fetched: Callable[[str], Path],
    packaged: Path,
    settings: dict[str, object],
    home: Path,
    runtime: FakeRuntime,
) -> Iterator[Workbench]:
    window = Workbench(fetched("vscode"), home, settings)
    window.install(packaged)
    file = window.folder / "work.py"
    file.write_text("")
    shutil.copy(ROOT / "examples" / "readings.py", window.folder)
    with window:
        window.goto(openFile=file)
        window.until(lambda: "ready" in window.status(), "the ready model")
        yield window


@pytest.fixture
def fake(runtime: FakeRuntime) -> FakeRuntime:
    runtime.answer = lambda request: candidates("answer()")
    runtime.embedding = counted_letters
    runtime.delay_s = 0.0
    runtime.release()
    runtime.requests.clear()
    runtime.cancelled.clear()
    return runtime


@pytest.fixture
def window(opened: Workbench, fake: FakeRuntime) -> Workbench:
    """With the file alone and empty."""
    opened.alone()
    opened.write("")
    return opened


def test_ghost_text_appears_and_tab_accepts_it(window: Workbench) -> None:
    window.type("total = ")
    window.shows("answer()")
    window.press("Tab")
    window.has("total = answer()")


def test_asking_brings_several_and_keys_walk_through_them(
    window: Workbench, fake: FakeRuntime
) -> None:
    fake.answer = lambda request: candidates(*("one()", "two()", "three()")[: request.candidates])
    window.type("v = ")
    window.shows("one()")
    window.press("Alt+\\")
    fake.wait(lambda fake: any(request.candidates == 3 for request in fake.requests))
    window.press("Alt+]")
    window.shows("two()")
    window.press("Tab")
    window.has("v = two()")


def test_a_word_can_be_accepted(window: Workbench, fake: FakeRuntime) -> None:
    whole = "first_part + second"
    fake.answer = lambda request: candidates(whole.removeprefix(request.prefix[4:]))
    window.type("x = ")
    window.shows(whole)
    window.press("Control+ArrowRight")
    window.shows("+ second")
    window.until(lambda: window.text().rstrip() == "x = first_part", "the first word in the file")


def test_a_line_can_be_accepted(window: Workbench, fake: FakeRuntime) -> None:
    fake.answer = lambda request: candidates("first(1)\nsecond(2)")
    window.type("line = ")
    window.shows("second(2)")
    window.press("Alt+End")
    window.until(lambda: window.text().rstrip() == "line = first(1)", "the first line in the file")


def test_a_runtime_of_two_seconds_still_shows_its_text_and_runs_once(
    window: Workbench, fake: FakeRuntime
) -> None:
    """VS Code withdraws a request for a half-typed word after 0.65 s."""
    fake.delay_s = 2.0
    fake.requests.clear()
    window.type("total = value", 0)
    window.shows("answer()")
    asked = [request for request in fake.requests if request.prefix == "total = value"]
    assert [request.id in fake.cancelled for request in asked] == [False]


def test_a_slow_runtime_is_seen_beside_a_menu_of_words(
    window: Workbench, fake: FakeRuntime
) -> None:
    """What is shown then goes on behind the word that is selected in the menu."""
    window.type("value = 1", 0)
    window.press("Enter")
    fake.delay_s = 2.0
    window.type("total = va", 0)
    window.shows("lueanswer()")


def test_candidates_are_shown_beside_and_one_is_used(window: Workbench, fake: FakeRuntime) -> None:
    made = iter(("alpha()", "beta()", "gamma()", "delta()", "epsilon()"))

    def answer(request: Generate) -> Answer:
        """Ghost text may be asked for at the same time."""
        return candidates(next(made) if request.priority == Priority.BATCH else "ghost()")

    fake.answer = answer
    window.write("v = ")
    window.press("Control+Enter")
    window.until(lambda: "epsilon()" in window.beside(), "five candidates")
    assert {"alpha()", "beta()", "gamma()", "delta()"} <= set(window.beside())
    window.js("await page.locator(given).nth(1).click()", USE)
    wanted = [f"v = {name}()" for name in ("beta", "alpha", "gamma")]
    window.until(lambda: window.text() in wanted, "the code in the file")


def test_closed_candidates_are_cancelled(window: Workbench, fake: FakeRuntime) -> None:
    fake.hold()
    window.write("v = ")
    window.press("Control+Enter")
    window.until(lambda: "looking for completions" in window.notifications(), "the progress")
    fake.cancelled.clear()
    window.alone()
    fake.wait(lambda fake: fake.cancelled)
    window.until(lambda: "looking" not in window.notifications(), "the end of the progress")


def test_a_translation_is_shown_beside_and_used(window: Workbench, fake: FakeRuntime) -> None:
    fake.answer = lambda request: candidates("var total = 1\n")
    fake.hold()
    _translate_to_go(window)
    window.until(lambda: "translating to Go" in window.notifications(), "the progress")
    fake.release()
    window.click(USE)
    window.has("# total = 1\nvar total = 1")
    assert [request.task for request in fake.requests if request.code] == [Task.TRANSLATE]


def test_a_translation_can_be_cancelled(window: Workbench, fake: FakeRuntime) -> None:
    fake.hold()
    _translate_to_go(window)
    window.until(lambda: "translating to Go" in window.notifications(), "the progress")
    window.click(".notification-toast a:has-text('Cancel')")
    fake.wait(lambda fake: fake.cancelled)
    window.until(lambda: "translating" not in window.notifications(), "the end of the progress")


def test_an_explanation_opens_beside(window: Workbench, fake: FakeRuntime) -> None:
    fake.answer = lambda request: candidates("# Starts at one.\ntotal = 1\n")
    window.write("total = 1")
    window.press("Control+a")
    window.command("CodeGeeX: Explain the Selection Beside")
    window.until(lambda: "Starts at one." in window.beside(), "the explanation")
    assert window.beside()[0] == "# work.py, lines 1 to 1"


def test_a_template_continues_the_selection(window: Workbench, fake: FakeRuntime) -> None:
    fake.answer = lambda request: candidates("TOTAL = 1\n")
    window.write("total = 1")
    window.press("Control+a")
    window.press("Alt+t")
    window.pick('Continue with template "shout"')
    window.until(lambda: "TOTAL" in window.text(), "the continuation")
    assert [it.prefix for it in fake.requests if it.task == Task.TEMPLATE] == [
        "# total = 1\n# louder:\n"
    ]


def test_the_status_item_tells_loading_and_why_nothing_is_shown(
    window: Workbench, fake: FakeRuntime
) -> None:
    fake.push(ModelState(Loading.LOADING))
    window.until(lambda: "loading" in window.status(), "loading")
    assert "codicon-loading" in window.status()
    fake.push(ModelState(Loading.READY))
    window.until(lambda: "ready" in window.status(), "ready")
    fake.answer = lambda request: Failure(request.id, Reason.NOTHING_GENERATED)
    window.type("x = ")
    fake.wait(lambda fake: fake.requests)
    window.until(lambda: "nothing to add" in window.why(), "the reason")


def test_ghost_text_comes_by_itself_when_the_model_is_ready(
    window: Workbench, fake: FakeRuntime
) -> None:
    _type_while_it_loads(window, fake, "early = ")
    fake.push(ModelState(Loading.READY))
    window.shows("answer()")
    assert [request.candidates for request in fake.requests] == [1]


def test_nothing_comes_by_itself_where_the_caret_has_left(
    window: Workbench, fake: FakeRuntime
) -> None:
    _type_while_it_loads(window, fake, "left = ")
    window.press("Home")
    window.until(lambda: "Col 1" in "".join(window.texts(".statusbar-item")), "the caret")
    fake.push(ModelState(Loading.READY))
    window.until(lambda: "ready" in window.status(), "ready")
    window.why()
    assert fake.requests == []


def test_a_model_that_had_nothing_to_say_is_not_asked_again(
    window: Workbench, fake: FakeRuntime
) -> None:
    fake.answer = lambda request: Failure(request.id, Reason.NOTHING_GENERATED)
    window.type("silent = ", 0)
    window.until(lambda: "nothing to add" in window.why(), "the reason")
    asked = len(fake.requests)
    fake.push(ModelState(Loading.LOADING))
    window.until(lambda: "loading" in window.status(), "loading")
    fake.push(ModelState(Loading.READY))
    window.until(lambda: "ready" in window.status(), "ready")
    window.why()
    assert len(fake.requests) == asked


def test_changed_settings_hold_at_once(window: Workbench, fake: FakeRuntime) -> None:
    window.command("CodeGeeX: Turn On or Off")
    window.until(lambda: "codicon-circle-slash" in window.status(), "the item of what is off")
    window.type("x = ")
    window.until(lambda: "turned off" in window.why(), "the reason")
    assert fake.requests == []
    window.command("CodeGeeX: Turn On or Off")
    window.until(lambda: "codicon-sparkle" in window.status(), "the item of what is on")
    window.type("y = ")
    window.shows("answer()")


def test_another_server_is_started_at_once(
    window: Workbench, fake: FakeRuntime, settings: dict[str, object]
) -> None:
    window.set(SERVER_PATH, "/nowhere/codegeex-lsp")
    window.until(lambda: "names no program: /nowhere" in window.notifications(), "the complaint")
    window.until(lambda: "not running" in window.status(), "the item without a server")
    window.set(SERVER_PATH, settings[SERVER_PATH])
    window.until(lambda: "ready" in window.status(), "the ready model")
    window.type("total = ")
    window.shows("answer()")
    fake.wait(lambda fake: fake.clients == 1)


def test_restarts_at_the_same_time_leave_one_server(window: Workbench, fake: FakeRuntime) -> None:
    for _ in range(3):
        window.command("CodeGeeX: Restart the Language Server")
    window.until(lambda: "ready" in window.status(), "the ready model")
    window.type("total = ")
    window.shows("answer()")
    fake.wait(lambda fake: fake.clients == 1)


def test_a_search_opens_the_place_and_says_what_was_left_out(
    window: Workbench, fake: FakeRuntime
) -> None:
    fake.embedding = lambda request: Failure(request.id, Reason.LOAD_FAILED, "It is no encoder.")
    window.until(lambda: "readings.py" in window.search("read_json"), "the place")
    assert "It is no encoder." in window.placeholder()
    window.press("Enter")
    window.until(lambda: "readings.py" in "".join(window.texts(".tab.active")), "the file")
    window.command("View: Revert and Close Editor")


def test_a_lost_runtime_is_found_again(window: Workbench, fake: FakeRuntime) -> None:
    fake.drop_clients()
    fake.wait(lambda fake: fake.clients)
    window.until(lambda: "ready" in window.status(), "the ready model")
    window.type("total = ")
    window.shows("answer()")


def test_a_model_is_fetched_after_a_question_and_can_be_stopped(
    window: Workbench, hub: LocalHub
) -> None:
    hub.hold.update(SHARDS)  # they stop half-way
    _choose(window, MODEL_OF_THE_HUB)
    window.until(lambda: "6 MB of 6 MB" in window.notifications(), "the question")
    window.click(".notification-toast a:has-text('Fetch')")
    window.until(lambda: f"fetching {MODEL_OF_THE_HUB}" in window.notifications(), "the bar")
    window.click(".notification-toast a:has-text('Cancel')")
    window.until(lambda: "was not fetched whole" in window.notifications(), "the end")
    assert "fake: ready" in window.status()


def test_the_embedded_model_is_picked_and_survives_a_kill(window: Workbench, home: Path) -> None:
    """The last one: from here on the window has another model."""
    _choose(window, "codegeex-nano")
    window.until(lambda: "codegeex-nano: ready" in window.status(), "the embedded model")
    assert 'model = "codegeex-nano"' in (home / "config.toml").read_text()
    window.command("Notifications: Clear All Notifications")
    window.js("await page.locator(given).dblclick()", ".monaco-list-row:has-text('readings.py')")
    window.until(lambda: "readings.py" in "".join(window.texts(".tab.active")), "the file")

    def at_the_end() -> bool:
        window.press("Control+End")
        return "Ln 17" in "".join(window.texts(".statusbar-item"))

    window.until(at_the_end, "the caret in the file")
    window.press("Backspace")
    window.shows("en(")
    window.picture(home / "vscode.png")  # docs/vscode.png is one of these
    _kill_the_runtime()
    window.until(lambda: "ready" not in window.status(), "the end of the model")
    window.until(lambda: "codegeex-nano: ready" in window.status(), "the model started again")
    window.type("e")
    window.shows("n(")


def _type_while_it_loads(window: Workbench, fake: FakeRuntime, text: str) -> None:
    """`text` is one of its own: the answer to another would be remembered."""
    fake.push(ModelState(Loading.LOADING))
    window.until(lambda: "loading" in window.status(), "loading")
    fake.requests.clear()
    window.type(text)
    window.until(lambda: "still being loaded" in window.why(), "the reason")
    assert window.ghost() == ""


def _translate_to_go(window: Workbench) -> None:
    window.write("total = 1")
    window.press("Control+a")
    window.press("Control+Alt+t")
    window.pick("Translate to Go")


def _choose(window: Workbench, model: str) -> None:
    window.command("CodeGeeX: Choose a Model")
    window.pick(model)


def _kill_the_runtime() -> None:
    place = endpoint.meeting(__version__, "codegeex-nano", "cpu")
    listening = endpoint.read_endpoint(place.endpoint)
    assert listening is not None
    os.kill(listening.pid, signal.SIGKILL)
