"""MTPB, the multi-turn benchmark of CodeGen: its problems, its dialogue, and where a turn ends.

Pure but for reading the file. mtpb_sampling.py asks a model, runners/mtpb.py executes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_runtime.evaluation.errors import EvaluationError

START = "# Import libraries.\n\nimport numpy as np\n\n"
DEFAULT_TOKENS = 256
# They read CSV files that nobody publishes.
NOT_RUNNABLE = (38, 46)
# The stops a runtime can look for; truncate() knows the rest.
STOPS = ("\n#", '\n"""', "\n'''", "\n\n\n")
END = re.compile(r"^#|<\|endoftext\|>|^'''|^\"\"\"|\n\n\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One problem with one of its five inputs. `turns` are filled in; `gold` is what to print."""

    problem: int
    number: int
    turns: tuple[str, ...]
    gold: Any
    max_tokens: int
    category: str

    @property
    def name(self) -> str:
        return f"{self.problem}/{self.number}"


def load(path: Path) -> list[Case]:
    """All cases in order. Raises EvaluationError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [case for line in lines for case in _cases(json.loads(line))]
    except FileNotFoundError:
        raise EvaluationError(
            f"{path} is missing; run `codegeex-eval download` or give --data a folder that has it."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise EvaluationError(f"{path} isn't the problem file of MTPB; download it anew.") from None


def _cases(fields: dict[str, Any]) -> list[Case]:
    """One record has an output without an input: they are paired by position."""
    return [
        Case(
            problem=int(fields["id"]),
            number=number,
            turns=tuple(prompt.format(**values) for prompt in fields["prompts"]),
            gold=gold,
            max_tokens=fields.get("max_gen_length", DEFAULT_TOKENS),
            category=fields["category"],
        )
        for number, (values, gold) in enumerate(
            zip(fields["inputs"], fields["outputs"], strict=False)
        )
    ]


def ask(history: str, *turns: str) -> str:
    """The prompt: what was said and written up to now, and the next turns as comments."""
    return history + "".join(f"# {turn}\n" for turn in turns)


def answer(prompt: str, text: str) -> str:
    """The history with an answer in it."""
    return f"{prompt}{truncate(text)}\n\n"


def truncate(text: str) -> str:
    """Up to the second print or def that begins a line, then up to the first end."""
    for word in ("print", "def"):
        found = list(re.finditer(f"^{word}", text, re.MULTILINE))
        if len(found) > 1:
            text = text[: found[1].start()]
    end = END.search(text)
    return text[: end.start()] if end else text
