"""What the page says, in a real Emacs: lsp-mode shows ghost text, Eglot a menu."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import emacs
import pytest
import readme
from fake_runtime import FakeRuntime, candidates
from terminal import Terminal

# Which of the page's blocks of commands.
LSP_STEP, EGLOT_STEP = 0, 1


@pytest.fixture(scope="module")
def unpacked(request: pytest.FixtureRequest, fetched: Callable[[str], Path]) -> Path:
    if not request.config.getoption("--all-editors"):
        pytest.skip("Emacs is tested with --all-editors")
    return fetched("emacs")


LSP_MODE = """
(setq lsp-auto-guess-root t
      lsp-enable-suggest-server-download nil
      lsp-session-file "{home}/session")
(find-file "{file}")
(python-mode)
(lsp-workspace-folders-add "{home}")
(lsp)
(defun ready ()
  (and (lsp-workspaces) (eq (lsp--workspace-status (car (lsp-workspaces))) 'initialized)))
(with-timeout (30 (error "never initialized")) (while (not (ready)) (sit-for 0.1)))
"""

LSP_MODE_GHOST = """
(goto-char (point-max))
(insert "x = ")
(defun shown ()
  (mapconcat (lambda (overlay) (or (overlay-get overlay 'after-string)
                                   (overlay-get overlay 'display) ""))
             (overlays-in (point-min) (1+ (point-max))) ""))
(with-timeout (20 (error "no ghost text"))
  (while (not (string-match-p "answer" (shown))) (lsp-inline-completion-display) (sit-for 0.2)))
(say (substring-no-properties (shown)))
(lsp-inline-completion-accept)
(say (buffer-substring (line-beginning-position) (line-end-position)))
(say (if (get-buffer "*Warnings*") "warned" "no warning"))
(set-buffer-modified-p nil)
"""

EGLOT = """
(require 'eglot)
(setq eglot-sync-connect 10 eglot-confirm-server-edits nil)
(find-file "{file}")
(python-mode)
(eglot-ensure)
(run-hooks 'post-command-hook)
(with-timeout (30 (error "never connected"))
  (while (not (eglot-current-server)) (sit-for 0.1)))
"""

EGLOT_MENU = """
(goto-char (point-max))
(insert "x = ans")
(eglot--signal-textDocument/didChange)
(let* ((found (eglot-completion-at-point))
       (table (nth 2 found)))
  (say (mapconcat #'substring-no-properties (all-completions "ans" table) " ")))
(set-buffer-modified-p nil)
"""


# In batch mode nobody waits for a key, so what the server sends has to be waited for.
ACTION = """
(goto-char (point-max))
(defun chosen (actions)
  (seq-find (lambda (it) (equal (action-title it) "CodeGeeX: Write a docstring")) actions))
{perform}
(with-timeout (20 (error "no docstring: %s" (buffer-string)))
  (while (not (search-backward "Return the double." nil t)) (sit-for 0.1)))
(say (buffer-substring (line-beginning-position) (line-end-position)))
(set-buffer-modified-p nil)
"""

LSP_MODE_ACTION = """
(defun action-title (it) (lsp:code-action-title it))
(lsp-execute-code-action (chosen (lsp-code-actions-at-point)))
"""

EGLOT_ACTION = """
(defun action-title (it) (plist-get it :title))
(eglot-execute (eglot-current-server) (chosen (eglot-code-actions (point) (point))))
"""


@pytest.fixture
def file(user: Path) -> Path:
    """Python whose last line is empty, below one with characters outside UTF-16's first plane."""
    path = user / "wide.py"
    path.write_text('名前 = "😀"\n')
    return path


def test_lsp_mode_shows_ghost_text_and_accepts_it(
    unpacked: Path, fake: FakeRuntime, user: Path, file: Path
) -> None:
    script = LSP_MODE.format(home=user, file=file) + LSP_MODE_GHOST
    said = emacs.run(unpacked, user, _followed(LSP_STEP, user) + script)
    assert said == ["answer()", "x = answer()", "no warning"]


def test_ghost_text_comes_by_itself_in_a_terminal(
    unpacked: Path, fake: FakeRuntime, user: Path
) -> None:
    """A user's whole way: the page's commands, a file of a project, the question, typing, TAB."""
    readme.follow("emacs", user, LSP_STEP)
    project = user / "project"
    (project / ".git").mkdir(parents=True)
    (project / "some.py").write_text("# Some.\n")
    program = emacs.installed(unpacked, user)
    kept = " ".join(f"{name}={os.environ[name]}" for name in os.environ if "CODEGEEX" in name)
    command = f"env HOME={user} {kept} {program} --no-window-system {project / 'some.py'}"
    with Terminal(user, command) as terminal:
        terminal.until("Select action:")
        terminal.type("i")
        fake.wait(lambda fake: fake.clients)
        terminal.until("LSP[codegeex:")
        terminal.type("M->", "x = ")
        terminal.until("x = answer()")
        terminal.type("Tab", "M-<", "C-x", "C-s")
        terminal.until("Wrote ")
    assert (project / "some.py").read_text() == "# Some.\nx = answer()\n"


def test_eglot_offers_the_suggestion_in_its_menu(
    unpacked: Path, fake: FakeRuntime, user: Path, file: Path
) -> None:
    fake.answer = lambda request: candidates("wer()")  # behind the "ans" that stands there
    script = EGLOT.format(file=file) + EGLOT_MENU
    said = emacs.run(unpacked, user, _followed(EGLOT_STEP, user) + script)
    assert said == ["wer()"]


@pytest.mark.parametrize(
    ("step", "begin", "perform"),
    [(LSP_STEP, LSP_MODE, LSP_MODE_ACTION), (EGLOT_STEP, EGLOT, EGLOT_ACTION)],
)
def test_an_action_is_carried_out(
    unpacked: Path, fake: FakeRuntime, user: Path, step: int, begin: str, perform: str
) -> None:
    fake.answer = lambda request: candidates("Return the double.")
    file = user / "twice.py"
    file.write_text("名前 = '😀'\n\n\ndef twice(a):\n    return 2 * a")
    script = begin.format(home=user, file=file) + ACTION.format(perform=perform)
    said = emacs.run(unpacked, user, _followed(step, user) + script)
    assert said == ['    """Return the double."""']


def _followed(step: int, home: Path) -> str:
    """The init file after one of the page's two steps; in batch mode Emacs reads none by itself."""
    readme.follow("emacs", home, step)
    return (home / ".emacs.d" / "init.el").read_text()
