"""JavaScript programs: one node each.

By the reference's rules a program passes when it prints nothing, since console.assert only prints.
By ours a failed console.assert throws, and printing is allowed. Problem 162 asks for the package
js-md5; a small stand-in on node's own crypto answers when there is none on NODE_PATH.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from model_runtime.evaluation.programs import Program
from model_runtime.evaluation.runners.runner import Runner, judge, program_folder
from model_runtime.evaluation.supervision import MIB, Limits
from model_runtime.evaluation.verdicts import Outcome, Verdict, last_line

STRICT_ASSERT = "console.assert = require('assert').ok;"
NODE_MODULES = Path(__file__).parent / "node_modules"
# V8 reserves more addresses than it uses, and starts eleven threads.
MEMORY = 512 * MIB
THREADS = 32
OPTIONS = ("--max-old-space-size=384", "--v8-pool-size=0")


class JavaScriptRunner(Runner):
    batch = 16

    def build(self, programs: Sequence[Program]) -> list[Verdict | None]:
        for number, program in enumerate(programs):
            head = "" if self._place.rules.reference else STRICT_ASSERT
            program_folder(self._place, number, "main.js", head + program.text)
        return [None] * len(programs)

    def run(self, number: int, program: Program) -> Verdict:
        chosen = [Path(path) for path in os.environ.get("NODE_PATH", "").split(":") if path]
        modules = [path.resolve() for path in (*chosen, NODE_MODULES) if path.is_dir()]
        done = self._place.sandbox.run(
            ["node", *OPTIONS, "main.js"],
            Limits(self._place.seconds, MEMORY, THREADS, address_space=False),
            self._place.folder / f"p{number}",
            readable=modules,
            environment={"NODE_PATH": ":".join(map(str, modules))},
        )
        if self._place.rules.reference and not done.stopped:
            silent = not done.output
            return Verdict(Outcome.PASSED if silent else Outcome.WRONG, last_line(done.output))
        return judge(done, program)
