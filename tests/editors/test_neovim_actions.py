"""The Neovim plugin's commands for actions and its window of candidates, in a real Neovim 0.12."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_runtime import Answer, FakeRuntime, candidates
from neovim import Neovim

from model_runtime.wire.protocol import Generate, Task

TWICE = "名前 = '😀'\n\n\ndef twice(a):\n    return 2 * a\n"
STATUSLINE = "return require('codegeex').statusline()"


@pytest.fixture
def neovim(fetched: Callable[[str], Path], fake: FakeRuntime, user: Path) -> Iterator[Neovim]:
    """A Python file is open, the cursor in the body of its function."""
    fake.answer = answer
    with Neovim(fetched("neovim"), user) as editor:
        editor.edit(user / "twice.py", TWICE)
        editor.command("normal! Gzz")
        yield editor


def answer(request: Generate) -> Answer:
    match request.task:
        case Task.TRANSLATE:
            return candidates(
                f"func twice(a int) int {{ return 2 * a }} // {request.target_language}\n"
            )
        case Task.EXPLAIN:
            return candidates("Doubles a.")
        case Task.DOCSTRING:
            return candidates("Return the double of a.")
        case Task.COMPLETE:
            return candidates(" + 1", " * 3\n    # twice")
    return candidates("    return a + a\n")


def test_docstring_inserts_one(neovim: Neovim) -> None:
    neovim.command("CodeGeeX docstring")
    neovim.until(lambda: '    """Return the double of a."""\n    return 2 * a' in neovim.text)


def test_translate_takes_a_language_with_a_blank_in_front(
    neovim: Neovim, fake: FakeRuntime
) -> None:
    neovim.command("CodeGeeX translate  Go ")
    neovim.until(lambda: "// Go" in neovim.text)
    assert fake.requests[-1].code == "def twice(a):\n    return 2 * a"


def test_a_range_of_lines_is_the_selection(neovim: Neovim, fake: FakeRuntime) -> None:
    neovim.type("ggV:CodeGeeX translate Go<CR>")
    neovim.until(lambda: "// Go" in neovim.text)
    assert fake.requests[-1].code == "名前 = '😀'"


def test_explain_writes_comments(neovim: Neovim) -> None:
    neovim.command("CodeGeeX explain")
    neovim.until(lambda: "# Doubles a." in neovim.text)


def test_explain_document_opens_one_beside(neovim: Neovim) -> None:
    neovim.command("CodeGeeX explain document")
    neovim.until(lambda: len(neovim.call("nvim_list_wins")) == 2)
    shown = [neovim.call("nvim_win_get_buf", window) for window in neovim.call("nvim_list_wins")]
    texts = ["\n".join(neovim.call("nvim_buf_get_lines", it, 0, -1, False)) for it in shown]
    assert any("Doubles a." in text for text in texts)
    assert TWICE.rstrip("\n") in texts


def test_generate_writes_code_for_a_comment(neovim: Neovim, fake: FakeRuntime) -> None:
    neovim.type("o<CR>def again(a):<CR># double it<Esc>:CodeGeeX generate<CR>")
    neovim.until(lambda: "return a + a" in neovim.text)
    assert fake.requests[-1].task == Task.GENERATE


def test_template_continues_with_one_of_the_users(
    neovim: Neovim, fake: FakeRuntime, user: Path
) -> None:
    (user / "templates").mkdir()
    (user / "templates" / "twice.txt").write_text("Again:\n<INPUT:0>")
    neovim.command("CodeGeeX template twice")
    fake.wait(lambda fake: fake.requests)
    assert fake.requests[-1].task == Task.TEMPLATE


def test_a_refusal_is_told(neovim: Neovim) -> None:
    neovim.command("CodeGeeX template nothing")
    neovim.until(lambda: 'There is no template "nothing"' in neovim.messages())


def test_code_actions_of_neovim_itself_apply(neovim: Neovim) -> None:
    neovim.lua(
        "vim.lsp.buf.code_action({ apply = true, filter = function(action)"
        " return action.title == 'CodeGeeX: Write a docstring' end })"
    )
    neovim.until(lambda: "Return the double of a." in neovim.text)


def test_progress_is_in_the_statusline_until_the_end(neovim: Neovim, fake: FakeRuntime) -> None:
    fake.hold()
    neovim.command("CodeGeeX translate Go")
    neovim.until(lambda: "translating to Go" in neovim.lua(STATUSLINE))
    fake.release()
    neovim.until(lambda: neovim.lua(STATUSLINE) == "CodeGeeX")


def test_cancel_frees_the_model_and_leaves_the_text(neovim: Neovim, fake: FakeRuntime) -> None:
    fake.hold()
    neovim.command("CodeGeeX translate Go")
    fake.wait(lambda fake: fake.running)
    neovim.command("CodeGeeX cancel")
    fake.wait(lambda fake: fake.cancelled and not fake.running)
    neovim.until(lambda: neovim.lua(STATUSLINE) == "CodeGeeX")
    assert neovim.text == TWICE.rstrip("\n")


def test_a_candidate_is_inserted_where_it_was_asked_for(neovim: Neovim) -> None:
    neovim.type("$:CodeGeeX candidates<CR>")
    neovim.until(lambda: neovim.text == "--- 1, model\n + 1\n--- 2, model\n * 3\n    # twice")
    neovim.type("G<CR>")
    neovim.until(lambda: neovim.text == TWICE.rstrip("\n") + " * 3\n    # twice")


def test_candidates_behind_wide_characters(neovim: Neovim) -> None:
    neovim.type("gg$i<C-O>:CodeGeeX candidates<CR>")
    neovim.until(lambda: neovim.text.startswith("--- 1, model\n + 1"))
    neovim.type("<CR>")
    neovim.until(lambda: neovim.text.startswith("名前 = '😀 + 1'\n"))


def test_q_closes_the_candidates(neovim: Neovim) -> None:
    neovim.command("CodeGeeX candidates")
    neovim.until(lambda: len(neovim.call("nvim_list_wins")) == 2)
    neovim.type("q")
    neovim.until(lambda: len(neovim.call("nvim_list_wins")) == 1)
    assert neovim.text == TWICE.rstrip("\n")


def test_closing_the_candidates_cancels_what_is_left(neovim: Neovim, fake: FakeRuntime) -> None:
    fake.hold()
    neovim.command("CodeGeeX candidates")
    fake.wait(lambda fake: fake.running)
    neovim.type("q")
    fake.wait(lambda fake: fake.cancelled and not fake.running)
