"""A real Emacs for tests, run in batch on a script of Lisp."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TIMEOUT_S = 90


def run(unpacked: Path, home: Path, lisp: str) -> list[str]:
    """What the script printed with (say ...), a line a call."""
    usr = unpacked / "usr"
    [version] = (path for path in (usr / "share/emacs").iterdir() if path.name[0].isdigit())
    [dump] = (usr / "libexec/emacs").glob("*/*/emacs-*.pdmp")
    packages = (usr / "share/emacs/site-lisp/elpa-src").iterdir()
    lisp_folders = [path for path in (version / "lisp").rglob("*") if path.is_dir()]
    load_path = [version / "lisp", *lisp_folders, *packages]
    script = home / "script.el"
    script.write_text('(defun say (text) (princ (format "say %s\\n" text)))\n' + lisp)
    # Compiling natively needs a library that isn't where this Emacs looks for it.
    no_native = "(setq native-comp-enable-subr-trampolines nil native-comp-jit-compilation nil)"
    done = subprocess.run(
        [
            *(usr / "bin/emacs-nox", f"--dump-file={dump}", "--batch", "--no-init-file"),
            *("--eval", no_native, "--load", script),
        ],
        env=os.environ
        | {
            "HOME": str(home),
            "EMACSLOADPATH": ":".join(map(str, load_path)),
            "EMACSDATA": str(version / "etc"),
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    said = [line[4:] for line in done.stdout.splitlines() if line.startswith("say ")]
    assert done.returncode == 0, done.stderr[-2000:]
    return said
