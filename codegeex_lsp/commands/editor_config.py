"""`codegeex-lsp editor-config EDITOR`: the configuration, with this installation's path in it.

The texts are what the pages in editors/ show, and what the tests put into the real editors.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

NEOVIM = """\
-- ~/.config/nvim/init.lua, Neovim 0.12. The plugin in editors/neovim has more keys and commands.
vim.lsp.config('codegeex', {{ cmd = {{ {command}, 'serve' }} }})
vim.lsp.enable('codegeex')
vim.lsp.inline_completion.enable()
vim.keymap.set('i', '<Tab>', function()
  return vim.lsp.inline_completion.get() and '' or '<Tab>'
end, {{ expr = true, desc = 'Accept the suggestion' }})
"""

EMACS = """\
;; ~/.emacs.d/init.el, lsp-mode 10. TAB accepts, C-n and C-p walk through suggestions.
(require 'lsp-mode)
(require 'lsp-inline-completion)
(lsp-register-client
 (make-lsp-client :new-connection (lsp-stdio-connection '({command} "serve"))
                  :activation-fn (lambda (&rest _) t)
                  :notification-handlers (lsp-ht ("codegeex/status" #'ignore))
                  :server-id 'codegeex
                  :add-on? t))
(setq lsp-inline-completion-idle-delay 0.1)
(define-key lsp-inline-completion-active-map (kbd "TAB") #'lsp-inline-completion-accept)
(add-hook 'prog-mode-hook #'lsp-deferred)
"""

EGLOT = """\
;; ~/.emacs.d/init.el, Eglot: a menu of completions and code actions; it shows no ghost text.
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs '(prog-mode . ({command} "serve"))))
(add-hook 'prog-mode-hook #'eglot-ensure)
"""

HELIX = """\
# ~/.config/helix/languages.toml. Helix has no ghost text; suggestions come in its menu.
# Repeat the second part for each language, with the servers you use for it already.
[language-server.codegeex]
command = {command}
args = ["serve"]

[[language]]
name = "python"
language-servers = ["codegeex"]
"""

JETBRAINS = """\
Settings | Languages & Frameworks | Language Servers (plugin LSP4IJ 0.20 or later) | +
    Import from template: the folder editors/jetbrains/lsp4ij-template of the project
    Command: {command} serve
"""

VSCODE = """\
// settings.json, with the CodeGeeX extension
{{ "codegeex.server.path": {command} }}
"""

EDITORS = {
    "neovim": NEOVIM,
    "emacs": EMACS,
    "eglot": EGLOT,
    "helix": HELIX,
    "jetbrains": JETBRAINS,
    "vscode": VSCODE,
}


def run(editor: str) -> int:
    print(configuration(editor), end="")
    return 0


def configuration(editor: str) -> str:
    """The text for one of EDITORS."""
    return EDITORS[editor].format(command=_quoted(_program()))


def _program() -> str:
    """This installation's codegeex-lsp: editors started from a desktop often lack the PATH."""
    beside = Path(sys.executable).parent / "codegeex-lsp"
    return str(beside) if beside.exists() else shutil.which("codegeex-lsp") or "codegeex-lsp"


def _quoted(text: str) -> str:
    """In double quotes with backslashes doubled, which Lua, Lisp, TOML and JSON all read."""
    return json.dumps(text, ensure_ascii=False)
