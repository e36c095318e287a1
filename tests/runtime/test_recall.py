"""What the memory says of a cursor, in the tokens of the embedded model."""

from __future__ import annotations

import pytest

from model_runtime.folders.native import TOKENIZER_FILE
from model_runtime.options import EMBEDDED_FOLDER
from model_runtime.recall.ngrams import Index
from model_runtime.recall.recall import LONGEST_LINE, LineTokens, Recall, Vocabulary
from model_runtime.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.from_json(EMBEDDED_FOLDER / TOKENIZER_FILE)
LINES = LineTokens(TOKENIZER)
VOCABULARY = Vocabulary(TOKENIZER)


def recall(text: str, **others: str) -> Recall:
    """At the cursor "|"; `others` are documents elsewhere."""
    prefix, suffix = text.split("|")
    elsewhere = Index.of({name: LINES.encode(other) for name, other in others.items()})
    return Recall(LINES, VOCABULARY, prefix, suffix, elsewhere)


def written(memory: Recall, tokens: int = 40) -> str:
    """The line that it would write alone."""
    ids: list[int] = []
    for _ in range(tokens):
        guess = memory.guess(ids)
        if guess is None:
            break
        ids.append(max(guess.shares, key=guess.shares.__getitem__))
        if "\n" in TOKENIZER.decode(ids):
            break
    return TOKENIZER.decode(ids).partition("\n")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("self.assertEqual(a, b)\nself.assertEq|", "ual(a, b)"),
        ("self.assertEq|\nself.assertEqual(a, b)\n", "ual(a, b)"),
        ("import numpy as np\n\nimport num|\n", "py as np"),
        ("x.find_added_suppressed(1)\ny.find_added_|\n", "suppressed(1)"),
        ("size_ = other.size_;\nfoo();\nsize_ = other.s|\n", "ize_;"),
        ("value = call(first)\nother()\nvalue = call|", "(first)"),
        ("with path.open(mode) as file:\nwith path.op|", "en(mode) as file:"),
        ("print('größer')\nprint('gr|", "ößer')"),
    ],
)
def test_a_line_goes_on_as_it_did_elsewhere_in_the_file(text: str, expected: str) -> None:
    assert written(recall(text)) == expected


def test_other_documents_are_asked_too() -> None:
    memory = recall("client.send_|\n", other="server.send_everything(now)\n")
    assert written(memory) == "everything(now)"


def test_the_file_itself_comes_before_other_documents() -> None:
    text = "now()\nconnection.close_now()\nelse_here()\nconnection.close_|\n"
    assert written(recall(text, other="connection.close_later()\n" * 3)) == "now()"


def test_the_line_below_is_not_proposed_above_itself() -> None:
    text = "begin()\nrun_one()\nrun_two()\n\nbegin()\n|\nrun_one()\n"
    assert written(recall(text)) != "run_one()"


def test_a_place_that_leads_to_the_line_below_counts_more() -> None:
    text = "open()\na()\nz()\nopen()\nb()\ny()\nopen()\nc()\nx()\nopen()\n|\ny()\n"
    assert written(recall(text)) == "b()"


@pytest.mark.parametrize("text", ["|", "x|", "\n|\n", "nothing_here_twice = |"])
def test_where_there_is_nothing_it_says_nothing(text: str) -> None:
    assert recall(text).guess([]) is None
    assert recall(text).draft([], 8) == []


def test_shares_sum_to_one() -> None:
    guess = recall("a = f(x)\na = f(y)\na = g(z)\nb = f(x)\na = |").guess([])
    assert guess is not None
    assert sum(guess.shares.values()) == pytest.approx(1)
    assert len(guess.shares) > 1


def test_a_draft_is_the_text_that_follows_across_lines() -> None:
    memory = recall("for item in items:\n    use(item)\n\nfor item in it|")
    assert TOKENIZER.decode(memory.draft([], 8)).startswith("ems:\n    use(item)")
    assert len(memory.draft([], 3)) == 3
    assert TOKENIZER.decode(memory.draft(TOKENIZER.encode("ems:"), 4)).startswith("\n    use")


def test_endless_lines_are_left_out() -> None:
    blob = "x" * (LONGEST_LINE + 1)
    assert LINES.encode(f"a = 1\n{blob}\nb = 2\n") == LINES.encode("a = 1\nb = 2\n")
    assert written(recall(f"def first_thing():\n{blob}\ndef first_th|")) == "ing():"
    assert recall("y" * 1_000_000 + "|").guess([]) is None


def test_lines_give_the_tokens_of_the_whole_text() -> None:
    text = (EMBEDDED_FOLDER.parent / "recall" / "recall.py").read_text(encoding="utf-8")
    assert LINES.encode(text) == TOKENIZER.encode(text)
    assert LINES.encode("\n\n a\n\t\n  \n") == TOKENIZER.encode("\n\n a\n\t\n  \n")
