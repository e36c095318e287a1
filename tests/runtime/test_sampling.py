"""Sampling against the published code's filters, and its own promises: masks, seeds, log-probs."""

from __future__ import annotations

import math

import pytest
import torch
from golden_model import GoldenModel

from model_runtime.decoding.sampling import Sampling, choose, filtered
from model_runtime.errors import BadPromptError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def kept(logits: list[float], **rules: float) -> list[int]:
    """The ids that survive the filters, for one row at temperature 1."""
    row = torch.tensor([logits])
    sampling = Sampling(temperature=1.0, **rules)  # type: ignore[arg-type]
    return filtered(row, sampling)[0].isfinite().nonzero().flatten().tolist()


# --- against the published code ---------------------------------------------------------------


def test_filters(golden_model: GoldenModel) -> None:
    vectors = golden_model.vectors("sampling")
    for rules in golden_model.rules("sampling"):
        sampling = Sampling(rules["temperature"], rules["top_k"], rules["top_p"])
        found = filtered(vectors["logits"], sampling)
        expected, probs = (vectors[f"case{rules['case']}.{part}"] for part in ("filtered", "probs"))
        # The last row is all equal: which of them a sort puts first is anybody's guess, so only
        # counts agree. The one before has ties, with the same doubt where top-p cuts among them.
        exact = slice(-1) if rules["top_p"] == 0 else slice(-2)
        assert torch.equal(found[exact].isfinite(), expected[exact].isfinite())
        torch.testing.assert_close(found[exact].softmax(-1), probs[exact], atol=1e-6, rtol=0)
        counts = found.isfinite().sum(1) - expected.isfinite().sum(1)
        assert counts.abs().max() <= 1


# --- the rules one by one ---------------------------------------------------------------------


def test_top_k_keeps_ties_at_the_last_place() -> None:
    assert kept([3.0, 2.0, 2.0, 1.0], top_k=2) == [0, 1, 2]


@pytest.mark.parametrize("top_k", [0, 4, 100])
def test_top_k_off(top_k: int) -> None:
    assert kept([3.0, 2.0, 1.0, 0.0], top_k=top_k) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.0, [0, 1, 2, 3]),
        (0.01, [0]),
        (0.4, [0]),
        (0.6, [0, 2]),
        (0.95, [0, 1, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_token_that_crosses(top_p: float, expected: list[int]) -> None:
    probabilities = [0.5, 0.15, 0.25, 0.1]
    assert kept([math.log(p) for p in probabilities], top_p=top_p) == expected


def test_top_p_sees_what_top_k_left() -> None:
    probabilities = [0.4, 0.3, 0.2, 0.1]  # of the two kept: 0.57 and 0.43
    logits = [math.log(p) for p in probabilities]
    assert kept(logits, top_k=2, top_p=0.55) == [0]
    assert kept(logits, top_p=0.55) == [0, 1]


# --- choosing ---------------------------------------------------------------------------------


def test_greedy_takes_the_largest_and_gives_its_log_probability() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])
    ids, logprobs = choose(logits, Sampling(), 3, None)
    assert ids.tolist() == [1, 0]
    torch.testing.assert_close(logprobs, logits.log_softmax(-1)[[0, 1], [1, 0]])


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_padding_ids_are_never_chosen_and_take_no_probability(temperature: float) -> None:
    logits = torch.zeros(200, 10)
    logits[:, 4:] = 50.0
    ids, logprobs = choose(logits, Sampling(temperature), 4, seeded())
    assert ids.max() < 4
    torch.testing.assert_close(logprobs, torch.full((200,), math.log(1 / 4)))


def test_log_probabilities_are_the_models_own_whatever_the_temperature() -> None:
    logits = torch.randn(50, 20, generator=seeded(3))
    ids, logprobs = choose(logits, Sampling(0.7, top_k=5, top_p=0.9), 20, seeded())
    expected = logits.log_softmax(-1).gather(1, ids.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(logprobs, expected)


def test_the_seed_decides() -> None:
    logits = torch.randn(64, 50, generator=seeded(1))
    drawn = [choose(logits, Sampling(1.0), 50, seeded(seed))[0].tolist() for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("greedy_rows", [0, 1, 3])
def test_greedy_rows_among_sampled_ones(greedy_rows: int) -> None:
    logits = torch.zeros(3, 1000)
    logits[:, 7] = 0.01
    ids = choose(logits, Sampling(1.0), 1000, seeded(), greedy_rows)[0].tolist()
    assert ids[:greedy_rows] == [7] * greedy_rows
    assert all(chosen != 7 for chosen in ids[greedy_rows:])


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.6, 0.3, 0.1])
    ids, _ = choose(probabilities.log().expand(20_000, 3), Sampling(1.0), 3, seeded())
    found = ids.bincount(minlength=3) / 20_000
    torch.testing.assert_close(found, probabilities, atol=0.015, rtol=0)


@pytest.mark.parametrize("temperature", [1e-45, 1e-4, 1e-3, 1e4])
def test_extreme_temperatures(temperature: float) -> None:
    logits = torch.tensor([[80.0, -80.0, 0.0]])
    ids, logprobs = choose(logits, Sampling(temperature), 3, seeded())
    assert ids[0] == 0 or temperature > 1
    assert logprobs.isfinite().all()


def test_half_precision_logits_are_widened_first() -> None:
    logits = torch.randn(4, 30, generator=seeded(2)).to(torch.bfloat16)
    _, logprobs = choose(logits, Sampling(), 30, None)
    assert logprobs.dtype == torch.float32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", -1),
        ("top_p", -0.1),
        ("top_p", 1.1),
        ("top_p", math.nan),
    ],
)
def test_impossible_sampling(field: str, value: float) -> None:
    with pytest.raises(BadPromptError, match=rf"^{field} is {value}; it must be "):
        Sampling(**{field: value})  # type: ignore[arg-type]


def test_the_callers_logits_stay() -> None:
    logits = torch.randn(4, 100, generator=seeded(2))
    before = logits.clone()
    choose(logits, Sampling(0.8, 40, 0.95), 90, seeded(), greedy_rows=1)
    assert torch.equal(logits, before)
