"""The Neovim plugin in a real Neovim 0.12: ghost text, keys, commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_runtime import FakeRuntime, candidates
from neovim import PLUGIN, Neovim

from model_runtime.wire.protocol import Failure, Generate, Loading, ModelState, Reason


@pytest.fixture
def neovim(fetched: Callable[[str], Path], fake: FakeRuntime, user: Path) -> Iterator[Neovim]:
    with Neovim(fetched("neovim"), user) as editor:
        yield editor


def test_ghost_text_appears_and_tab_accepts_it(neovim: Neovim, user: Path) -> None:
    neovim.edit(user / "sum.py")
    neovim.type("itotal = ")
    neovim.shows("answer()")
    neovim.type("<Tab>")
    neovim.until(lambda: neovim.text == "total = answer()")


def test_tab_without_a_suggestion_is_a_tab(neovim: Neovim, fake: FakeRuntime, user: Path) -> None:
    fake.answer = lambda request: Failure(request.id, Reason.NOTHING_GENERATED)
    neovim.edit(user / "plain.txt")
    neovim.type("ia")
    fake.wait(lambda fake: fake.requests)
    neovim.type("<Tab>")
    neovim.until(lambda: neovim.text == "a\t")


def test_a_word_and_then_a_line_can_be_accepted(
    neovim: Neovim, fake: FakeRuntime, user: Path
) -> None:
    fake.answer = lambda request: _rest("first_part(second) + third\nlast = 1", request)
    neovim.edit(user / "parts.py")
    neovim.type("ix = ")
    neovim.shows("first_part(second) + third\nlast = 1")
    neovim.type("<M-Right>")
    neovim.until(lambda: neovim.text == "x = first_part")
    neovim.shows("(second) + third\nlast = 1")
    neovim.type("<M-End>")
    neovim.until(lambda: neovim.text == "x = first_part(second) + third")


def test_asking_brings_several_and_keys_walk_through_them(
    neovim: Neovim, fake: FakeRuntime, user: Path
) -> None:
    fake.answer = lambda request: candidates(*("one()", "two()", "three()")[: request.candidates])
    neovim.edit(user / "choice.py")
    neovim.type("iv = ")
    neovim.shows("one()")
    neovim.type("<M-\\>")
    fake.wait(lambda fake: any(request.candidates > 1 for request in fake.requests))
    neovim.until(lambda: _next(neovim) == "two()")
    neovim.type("<M-[>")
    neovim.shows("one()")
    neovim.type("<M-[>")
    neovim.shows("three()")
    neovim.type("<Tab>")
    neovim.until(lambda: neovim.text == "v = three()")


def test_a_suggestion_can_be_hidden(neovim: Neovim, user: Path) -> None:
    neovim.edit(user / "hide.py")
    neovim.type("itotal = ")
    neovim.shows("answer()")
    neovim.type("<C-]>")
    neovim.until(lambda: neovim.ghost() == "")
    assert neovim.text == "total = "


def test_emoji_and_chinese_before_the_cursor_move_nothing(neovim: Neovim, user: Path) -> None:
    neovim.edit(user / "wide.py")
    neovim.type('i名前 = "😀é" + ')
    neovim.shows("answer()")
    neovim.type("<Tab>")
    neovim.until(lambda: neovim.text == '名前 = "😀é" + answer()')


def test_ghost_text_comes_by_itself_when_the_model_is_ready(
    neovim: Neovim, fake: FakeRuntime, user: Path
) -> None:
    _types_while_it_loads(neovim, fake, user)
    fake.push(ModelState(Loading.READY))
    neovim.shows("answer()")
    assert [request.candidates for request in fake.requests] == [1]


def test_no_ghost_text_comes_by_itself_in_normal_mode(
    neovim: Neovim, fake: FakeRuntime, user: Path
) -> None:
    _types_while_it_loads(neovim, fake, user)
    neovim.type("<Esc>")
    neovim.until(lambda: neovim.call("nvim_get_mode")["mode"] == "n")
    fake.push(ModelState(Loading.READY))
    _is_told_ready(neovim)
    assert fake.requests == []


def test_a_model_that_had_nothing_to_say_is_not_asked_again(
    neovim: Neovim, fake: FakeRuntime, user: Path
) -> None:
    fake.answer = lambda request: Failure(request.id, Reason.NOTHING_GENERATED)
    neovim.edit(user / "silent.py")
    neovim.type("itotal = ")
    _is_told(neovim, "nothing to add")
    fake.push(ModelState(Loading.LOADING))
    neovim.until(lambda: neovim.status()["phase"] == "loading")
    fake.push(ModelState(Loading.READY))
    _is_told_ready(neovim)
    assert len(fake.requests) == 1


def test_why_says_the_reason(neovim: Neovim, fake: FakeRuntime, user: Path) -> None:
    fake.answer = lambda request: Failure(request.id, Reason.NOTHING_GENERATED)
    neovim.edit(user / "silent.py")
    neovim.type("ix = ")
    _is_told(neovim, "nothing to add")


def test_the_status_tells_phase_and_model(neovim: Neovim, user: Path) -> None:
    neovim.edit(user / "any.py")
    neovim.type(":CodeGeeX status<CR>")
    neovim.until(lambda: "CodeGeeX fake: ready." in neovim.messages())
    assert neovim.lua("return require('codegeex').statusline()") == "CodeGeeX"


def test_a_search_fills_the_quickfix_list_and_says_what_was_left_out(
    fetched: Callable[[str], Path],
    fake: FakeRuntime,
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODEGEEX_EMBEDDING_MODEL", "letters")
    monkeypatch.setenv("CODEGEEX_CACHE_DIR", str(user / "cache"))
    fake.embedding = lambda request: Failure(request.id, Reason.LOAD_FAILED, "It is no encoder.")
    project = user / "project"
    (project / ".git").mkdir(parents=True)
    (project / "reader.py").write_text("import os\n\n\ndef read_header(stream):\n    pass\n")
    with Neovim(fetched("neovim"), user) as editor:
        editor.edit(project / "app.py")

        def found() -> bool:
            editor.command("CodeGeeX search read_header")
            return "reader.py|4| " in editor.text

        editor.until(found)
        title = editor.lua("return vim.fn.getqflist({ title = true }).title")
        assert title.startswith("CodeGeeX: read_header. It is no encoder.")
        editor.type("<CR>")
        editor.until(lambda: editor.lua("return vim.fn.line('.')") == 4)
        assert "def read_header" in editor.text


def test_a_search_without_an_index_says_why(neovim: Neovim, user: Path) -> None:
    neovim.edit(user / "alone.py")
    neovim.command("CodeGeeX search header")
    neovim.until(lambda: "nothing to search; open the project" in neovim.messages())


def test_the_help_is_found(neovim: Neovim) -> None:
    neovim.command("help codegeex-keys")
    assert "accept the suggestion" in neovim.text


def test_a_program_that_is_missing_is_named(fetched: Callable[[str], Path], user: Path) -> None:
    plugin = f"vim.opt.runtimepath:prepend('{PLUGIN}')"
    wrong = f"{plugin}\nrequire('codegeex').setup({{ cmd = {{ '/nowhere/codegeex-lsp' }} }})"
    with Neovim(fetched("neovim"), user, wrong) as editor:
        editor.until(
            lambda: "no program /nowhere/codegeex-lsp; start scripts/run" in editor.messages()
        )


def test_an_unknown_command_points_to_the_help(neovim: Neovim, user: Path) -> None:
    neovim.edit(user / "any.py")
    neovim.type(":CodeGeeX frobnicate<CR>")
    neovim.until(lambda: 'no command "frobnicate"' in neovim.messages())
    assert ":help :CodeGeeX" in neovim.messages()


def _types_while_it_loads(neovim: Neovim, fake: FakeRuntime, user: Path) -> None:
    neovim.edit(user / "early.py")
    fake.push(ModelState(Loading.LOADING))
    neovim.until(lambda: neovim.status()["phase"] == "loading")
    neovim.type("itotal = ")
    _is_told(neovim, "still being loaded")
    assert neovim.ghost() == ""


def _is_told(neovim: Neovim, words: str) -> None:
    """By :CodeGeeX why, which is asked until it says so."""

    def told() -> bool:
        neovim.command("CodeGeeX why")
        return words in neovim.messages()

    neovim.until(told)


def _is_told_ready(neovim: Neovim) -> None:
    """And had the time to ask the server, and to hear from it: it answers in order."""
    neovim.until(lambda: neovim.status()["phase"] == "ready")
    for _ in range(2):
        neovim.command("messages clear")
        _is_told(neovim, "CodeGeeX: ")


def _next(neovim: Neovim) -> str:
    if neovim.ghost() == "one()":
        neovim.type("<M-]>")
    return neovim.ghost()


def _rest(whole: str, request: Generate) -> tuple[object, ...]:
    """What is left of `whole` behind the text that was accepted already."""
    typed = request.prefix.removeprefix("x = ")
    return candidates(whole.removeprefix(typed))
