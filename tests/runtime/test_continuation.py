from __future__ import annotations

import pytest

from model_runtime.decoding.continuation import turns_in_circles


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], False),
        (list(range(40)), False),
        ([7] * 11, False),
        ([7] * 12, True),
        ([1, 2] * 5, False),
        ([1, 2] * 6, True),
        ([9, 9, 9, *[1, 2, 3] * 5], True),
        ([*[1, 2, 3] * 5, 4], False),
        ([1, 2, 3, 4, 5, 6, 7, 8] * 5, True),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9] * 6, False),
        ([0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 1, 0, 2], False),
    ],
)
def test_only_a_short_run_repeated_often_is_a_loop(tokens: list[int], expected: bool) -> None:
    assert turns_in_circles(tokens) is expected
