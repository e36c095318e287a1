"""One run in a sandbox, by the user this is started as; JSON on standard input and output."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from model_runtime.evaluation.runners.python import interpreter, python_folders
from model_runtime.evaluation.sandbox import Sandbox
from model_runtime.evaluation.supervision import Limits

asked = json.load(sys.stdin)
done = Sandbox().run(
    [str(interpreter()), "-s", "-B", "main.py"],
    Limits(**asked["limits"]),
    Path(asked["work"]),
    readable=python_folders(),
)
json.dump(asdict(done), sys.stdout)
