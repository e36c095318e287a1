"""Neovim 0.10 and 0.7 with the configuration of `:help codegeex-old`, word for word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_runtime import FakeRuntime, candidates
from neovim import PLUGIN, SERVER, Neovim

VERSIONS = ["0.10", "0.7"]


def documented() -> str:
    """The Lua of the help file's last section."""
    section = (PLUGIN / "doc" / "codegeex.txt").read_text().rpartition("*codegeex-old*")[2]
    return section.partition(">lua\n")[2].partition("\n<\n")[0]


@pytest.fixture(params=VERSIONS)
def neovim(
    request: pytest.FixtureRequest,
    fetched: Callable[[str], Path],
    fake: FakeRuntime,
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Neovim]:
    if not request.config.getoption("--all-editors"):
        pytest.skip("old versions of Neovim are tested with --all-editors")
    monkeypatch.setenv("PATH", f"{Path(SERVER).parent}{os.pathsep}{os.environ['PATH']}")
    with Neovim(fetched(f"neovim-{request.param}"), user, documented()) as editor:
        version = editor.call("nvim_get_api_info")[1]["version"]
        assert f"{version['major']}.{version['minor']}" == request.param
        (user / "some.py").write_text("名前 = '😀'\n\n\ndef twice(a):\n    return 2 * a\n")
        editor.command(f"edit {user / 'some.py'}")
        fake.wait(lambda fake: fake.clients)
        yield editor


def test_omni_completion_inserts_the_suggestion(neovim: Neovim, fake: FakeRuntime) -> None:
    fake.answer = lambda request: candidates("answer()")
    neovim.type("ggA + <C-X><C-O>")
    neovim.until(lambda: neovim.text.startswith("名前 = '😀' + answer()\n"))


def test_a_code_action_is_chosen_and_applied(neovim: Neovim, fake: FakeRuntime) -> None:
    fake.answer = lambda request: candidates("Return the double of a.")
    neovim.lua(
        "vim.ui.select = function(items, options, choose)"
        "  for _, item in ipairs(items) do"
        "    local label = options.format_item(item)"
        "    if label:find('Write a docstring', 1, true) then choose(item) end"
        "  end "
        "end"
    )
    neovim.command("normal! G")
    neovim.lua("vim.lsp.buf.code_action()")
    neovim.until(lambda: '"""Return the double of a."""' in neovim.text)
