"""The order of snippets, which the beginning of a prompt depends on."""

from __future__ import annotations

from codegeex_lsp.workspace.snippets import in_stable_order
from model_runtime.wire.protocol import Snippet

A, B, C, D = (Snippet(f"{name}.py", name) for name in "abcd")


def test_what_stays_chosen_keeps_its_place() -> None:
    assert in_stable_order((A, B, C), (C, D, A)) == (A, C, D)


def test_the_same_ones_in_another_order_are_the_same() -> None:
    assert in_stable_order((A, B, C), (C, B, A)) == (A, B, C)


def test_the_first_ones_come_best_first() -> None:
    assert in_stable_order((), (B, A)) == (B, A)
