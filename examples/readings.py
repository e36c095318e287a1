"""Half-typed on purpose: `scripts/run` completes it where the cursor stands, at the end."""

from __future__ import annotations

import csv
import json
from pathlib import Path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> list[dict[str, str]]:
    with path.op
