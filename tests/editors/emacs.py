"""A real Emacs for tests, run in batch on a script of Lisp."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TIMEOUT_S = 90


# Compiling natively needs a library that isn't where this Emacs looks for it.
NO_NATIVE = "(setq native-comp-enable-subr-trampolines nil native-comp-jit-compilation nil)"


def run(unpacked: Path, home: Path, lisp: str) -> list[str]:
    """What the script printed with (say ...), a line a call."""
    script = home / "script.el"
    script.write_text('(defun say (text) (princ (format "say %s\\n" text)))\n' + lisp)
    done = subprocess.run(
        [
            *(installed(unpacked, home), "--batch", "--no-init-file"),
            *("--eval", NO_NATIVE, "--load", script),
        ],
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    said = [line[4:] for line in done.stdout.splitlines() if line.startswith("say ")]
    assert done.returncode == 0, done.stderr[-2000:]
    return said


def installed(unpacked: Path, home: Path) -> Path:
    """The command emacs, as an installation has it: with its Lisp and its packages.

    It reads early-init.el, which is the installation's part here; init.el is the user's.
    """
    usr = unpacked / "usr"
    [version] = (path for path in (usr / "share/emacs").iterdir() if path.name[0].isdigit())
    [dump] = (usr / "libexec/emacs").glob("*/*/emacs-*.pdmp")
    packages = usr / "share/emacs/site-lisp/elpa-src"
    lisp_folders = [path for path in (version / "lisp").rglob("*") if path.is_dir()]
    load_path = [version / "lisp", *lisp_folders, *packages.iterdir()]
    early = home / ".emacs.d" / "early-init.el"
    early.parent.mkdir(exist_ok=True)
    early.write_text(f'{NO_NATIVE}\n(setq package-directory-list (list "{packages}"))\n')
    program = home / "emacs"
    program.write_text(
        f"""#!/bin/sh
export EMACSLOADPATH={":".join(map(str, load_path))} EMACSDATA={version / "etc"}
exec {usr}/bin/emacs-nox --dump-file={dump} "$@"
"""
    )
    program.chmod(0o755)
    return program
