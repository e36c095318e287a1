"""The samples file: a JSON object a line, in the published format.

`task_id` and `generation` are the published fields; `completion`, OpenAI's name for the latter, is
read too. Our own lines also say which sample of a task it is and how it was drawn, so that an
interrupted run can go on. Knows no problems.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from model_runtime.evaluation.errors import EvaluationError


class Way(StrEnum):
    """How a model is asked: to go on with a text, in words, or as it was made for."""

    COMPLETION = "completion"
    CONVERSATION = "conversation"
    AUTO = "auto"


# What an older line of ours means that doesn't say it.
UNSAID: dict[str, Any] = {"way": str(Way.COMPLETION), "top_k": 0, "beams": 0}


@dataclass(frozen=True, slots=True)
class Sample:
    """`line` counts from 1. `settings` is what our own lines say beyond the published fields."""

    line: int
    task_id: str
    generation: str
    settings: dict[str, Any]


def read(path: Path) -> list[Sample]:
    """Every line as a sample. Raises EvaluationError that names the first bad line."""
    samples = []
    seen: dict[tuple[str, int], int] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        sample = _sample(path, number, line)
        index = sample.settings.get("sample")
        if isinstance(index, int):
            before = seen.setdefault((sample.task_id, index), number)
            if before != number:
                raise EvaluationError(
                    f"{path}, line {number}: sample {index} of {sample.task_id} is already in line "
                    f"{before}; remove one of them."
                )
        samples.append(sample)
    if not samples:
        raise EvaluationError(f"{path} holds no samples.")
    return samples


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise EvaluationError(f"{path} isn't UTF-8 text; a samples file has JSON lines.") from None
    except OSError as error:
        raise EvaluationError(f"{path} can't be read: {error.strerror}.") from None


def _sample(path: Path, number: int, line: str) -> Sample:
    place = f"{path}, line {number}"
    try:
        fields = json.loads(line)
    except ValueError:
        raise EvaluationError(
            f"{place}: this isn't a whole JSON object; remove the line or write the file anew."
        ) from None
    if not isinstance(fields, dict):
        raise EvaluationError(f"{place}: a sample is a JSON object with task_id and generation.")
    task_id = fields.pop("task_id", None)
    generation = fields.pop("generation", None)
    if generation is None:
        generation = fields.pop("completion", None)
    for name, value in (("task_id", task_id), ("generation", generation)):
        if not isinstance(value, str):
            raise EvaluationError(f'{place}: "{name}" is missing or no text.')
    return Sample(number, task_id, generation, fields)


def reopen(path: Path, settings: dict[str, Any]) -> list[Sample]:
    """What an earlier run left, its incomplete last line cut off; empty where there was none.

    Raises EvaluationError when that run had other settings.
    """
    found = _whole_lines(path)
    require(path, found, settings)
    return found


def _whole_lines(path: Path) -> list[Sample]:
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        path.write_bytes(whole)
    return read(path) if whole else []


def require(path: Path, found: Sequence[Sample], settings: dict[str, Any]) -> None:
    """Raises EvaluationError when one was drawn with other settings."""
    for sample in found:
        for name, value in settings.items():
            had = sample.settings.get(name, UNSAID.get(name, ""))
            if had != value:
                raise EvaluationError(
                    f"{path} was sampled with {name} {had!r} and not {value!r}; "
                    "name another file with --samples."
                )


def append(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write them at once, so that a run ends between two calls or within the last line."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)
