"""`codegeex-lsp models`: the runtime's own `models` command, and `use`, which is a setting.

What models there are, and what is on the disk, only the runtime knows: each verb runs
`codegeex-runtime models` in a process of its own, on this terminal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from codegeex_lsp.config.config_file import set_model
from model_runtime.wire.configuration import ConfigurationError, config_path

RUNTIME = (sys.executable, "-P", "-m", "model_runtime", "models")


@dataclass(frozen=True, slots=True)
class Asked:
    """A verb with its arguments; `model` is empty for `list`."""

    verb: str
    model: str = ""
    revision: str = ""
    as_json: bool = False
    yes: bool = False

    def arguments(self) -> Sequence[str]:
        words = [self.verb]
        words += ["--revision", self.revision] if self.revision else []
        words += ["--json"] if self.as_json else []
        words += ["--yes"] if self.yes else []
        # Whatever stands behind "--" is a name, even "-x".
        return [*words, "--", self.model] if self.model else words


def run(wanted: Asked) -> int:
    """The runtime's exit code: 0 done, 1 couldn't be done, 2 for a name that nobody knows."""
    if wanted.verb == "use":
        return _use(wanted.model)
    with subprocess.Popen([*RUNTIME, *wanted.arguments()]) as process:  # noqa: S603
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the terminal sent it to both; the runtime says what it left


def _use(name: str) -> int:
    """Write the model into the user's configuration file once it was tried."""
    command = [*RUNTIME, *Asked("try", name, as_json=True).arguments()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        return done.returncode
    found = json.loads(done.stdout)
    model = found["name"] or found["folder"]
    setting, variable = "model", "CODEGEEX_MODEL"
    if found["embeds"]:
        setting, variable = "embedding_model", "CODEGEEX_EMBEDDING_MODEL"
    path = config_path(os.environ)
    try:
        set_model(path, model, setting)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    role = "embedding model" if found["embeds"] else "model"
    print(f"{model} is the {role} now, in {path}; editors use it from their next start.")
    if (other := os.environ.get(variable)) and other != model:
        print(f"{variable} is set to {other} here and comes first.", file=sys.stderr)
    return 0
