"""`scripts/bench`: all figures in one run, as Markdown.

`scripts/bench quality FOLDER` measures how good completions are, which needs held-out text;
`scripts/bench keystrokes FOLDER` what need not be typed;
`scripts/bench speed [FOLDER]` how fast they are, on FOLDER's files;
`scripts/bench retrieval [FOLDER]` the workspace's index.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile

from benchmarks import completion, keystrokes, model, quality, retrieval, server, speed, turns


def main() -> None:
    known = not sys.argv[1:] or sys.argv[1] in ("keystrokes", "quality", "retrieval", "speed")
    if not known:
        raise SystemExit(__doc__)
    print(f"{datetime.date.today()}, {_machine()}")
    match sys.argv[1:]:
        case ["keystrokes", *options]:
            keystrokes.measure(options)
            return
        case ["quality", *options]:
            quality.measure(options)
            return
        case ["retrieval", *options]:
            retrieval.measure(options)
            return
        case ["speed", *options]:
            speed.measure(options)
            return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CODEGEEX_RUNTIME_DIR"] = folder
        os.environ["CODEGEEX_STATE_DIR"] = folder
        server.measure()
        try:
            completion.measure()
        finally:
            command = [sys.executable, "-m", "model_runtime", "stop"]
            subprocess.run(command, capture_output=True, check=False)
    model.measure()
    turns.measure()


def _machine() -> str:
    cores = os.cpu_count()
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {cores} cores, load {load:.1f}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
