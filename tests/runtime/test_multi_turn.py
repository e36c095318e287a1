"""A program written in turns, each a comment and what the model makes of it: CodeGen's way.

Every turn continues all before it, and costs only its own tokens.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_hub
from engine_bench import DEVICE, Bench

from model_runtime.folders import opening
from model_runtime.wire.protocol import Task

TURNS = ("read the file", "drop empty lines", "sort what is left", "print it")
NEW = 20


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tiny_hub.write_folder(tmp_path / "codegen", "codegen")
    return Bench(tmp_path, opening.load(str(folder), DEVICE.place, DEVICE.dtype))


def test_a_turn_costs_only_its_own_tokens(bench: Bench) -> None:
    document = ""
    for turn in TURNS:
        asked = f"{document}# {turn}\n"
        already, steps = len(document), len(bench.steps.shapes)
        found = bench.ask(asked, task=Task.GENERATE, max_new_tokens=NEW)
        # The last token that was drawn never ran; and something must, for the first logits.
        run = found.timing.prompt_tokens - found.timing.cached_tokens
        assert found.timing.prompt_tokens == len(asked), "a token a byte"
        assert run == len(asked) - max(0, already - 2)
        positions = sum(length for _, length in bench.steps.shapes[steps:])
        assert positions == run + NEW - 1
        document = f"{asked}{found.candidates[0].text}\n"


def test_a_turn_gives_what_the_whole_text_gives_at_once(bench: Bench, tmp_path: Path) -> None:
    document = ""
    for turn in TURNS:
        document += f"# {turn}\n"
        (found,) = bench.ask(document, task=Task.GENERATE, max_new_tokens=NEW).candidates
        fresh = Bench(tmp_path, bench.engine.model)
        (expected,) = fresh.ask(document, task=Task.GENERATE, max_new_tokens=NEW).candidates
        assert found.text == expected.text
        document += f"{found.text}\n"


def test_an_instruction_becomes_the_comment_of_the_turn(bench: Bench) -> None:
    first = bench.ask("x = 1\n# print it\n", language="Python", task=Task.GENERATE)
    again = bench.ask("x = 1\n", instruction="print it", language="Python", task=Task.GENERATE)
    assert again.candidates[0].text == first.candidates[0].text
    assert again.timing.cached_tokens == again.timing.prompt_tokens - 1
