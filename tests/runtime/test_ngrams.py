"""The index of tokens: what it finds, and that changing it step by step loses nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest

from model_runtime.recall.ngrams import BREAK, MAX_MATCH, Index


def found(index: Index, context: list[int]) -> list[tuple[int, int]]:
    """The next token and the length of the match for each place, in the order of the text."""
    places = index.places(context)
    nexts = index.tokens[places.positions].tolist()
    return list(zip(nexts, places.lengths.tolist(), strict=True))


def test_every_place_where_the_last_token_stands_is_found_with_its_match() -> None:
    index = Index.of({"a": [1, 2, 3, 9, 2, 3, 8], "b": [7, 3, 6]})
    assert found(index, [1, 2, 3]) == [(9, 3), (8, 2), (6, 1)]


def test_a_match_ends_at_the_beginning_of_its_document() -> None:
    index = Index.of({"a": [5, 1], "b": [2, 3]})
    assert found(index, [5, 1, 2]) == [(3, 1)]


def test_nothing_follows_the_last_token_of_a_document() -> None:
    assert found(Index.of({"a": [1, 2], "b": [3]}), [1, 2]) == []


def test_matches_are_measured_up_to_a_limit() -> None:
    index = Index.of({"a": [1] * 100})
    assert max(length for _, length in found(index, [1] * 90)) == MAX_MATCH


def test_ids_above_sixteen_bits_are_kept_apart() -> None:
    index = Index.of({"a": [70_000, 1, 4_464, 2]})
    assert found(index, [70_000]) == [(1, 1)]


def test_one_document_can_be_left_out() -> None:
    index = Index.of({"a": [1, 2], "b": [1, 3]})
    places = index.places([1], leaving_out="b")
    assert index.tokens[places.positions].tolist() == [2]


@pytest.mark.parametrize("context", [[], [4]])
def test_no_place_for_what_stands_nowhere(context: list[int]) -> None:
    assert found(Index.of({"a": [1, 2, 3]}), context) == []


def test_a_document_taken_out_leaves_no_trace() -> None:
    with_it = Index.of({"a": [1, 2, 3], "secret": [4, 5, 6], "b": [7, 8]})
    without = with_it.without("secret")
    assert same(without, Index.of({"a": [1, 2, 3], "b": [7, 8]}))
    assert not np.isin([4, 5, 6], without.tokens).any()


def test_an_index_in_use_is_not_changed_by_the_next_one() -> None:
    index = Index.of({"a": [1, 2]})
    index.having("a", [1, 9])
    index.without("a")
    assert found(index, [1]) == [(2, 1)]


def test_after_ten_thousand_random_edits_it_equals_one_built_afresh() -> None:
    chosen = random.Random(3)
    documents: dict[str, list[int]] = {}
    index = Index.empty()
    for _ in range(10_000):
        name = f"file {chosen.randrange(12)}"
        ids = documents.pop(name, [])
        place = chosen.randint(0, len(ids))
        fresh = [chosen.randrange(20) for _ in range(chosen.randrange(6))]
        ids = ids[:place] + fresh + ids[min(len(ids), place + chosen.randrange(6)) :]
        if chosen.random() < 0.05:
            index = index.without(name)
        else:
            documents[name] = ids
            index = index.having(name, ids)
    assert len(documents) > 5
    assert same(index, Index.of(documents))


def same(one: Index, other: Index) -> bool:
    """The same documents in the same order, and the same answer to every short question."""
    contexts = [[first, second] for first in range(20) for second in range(20)]
    return (
        one.documents == other.documents
        and one.size == other.size
        and one.tokens.tolist() == other.tokens.tolist()
        and all(
            one.places(context).positions.tolist() == other.places(context).positions.tolist()
            for context in contexts
        )
        and one.tokens[0] == BREAK
    )
