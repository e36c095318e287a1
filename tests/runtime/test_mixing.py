"""The network's and the memory's opinions as one distribution."""

from __future__ import annotations

import pytest
import torch
from test_recall import TOKENIZER, recall

from model_runtime.decoding.mixing import Mixer, Trust

TRUST = Trust(bias=0.0, match=1.0, agreement=1.0, places=0.0, network=0.0)
NEVER = Trust(bias=-50.0, match=0.0, agreement=0.0, places=0.0, network=0.0)
TEXT = "value = call(first)\nother()\nvalue = call|"


def logits(seed: int = 1) -> torch.Tensor:
    return torch.randn(TOKENIZER.vocab_size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("text", [TEXT, "nothing|", "a = f(x)\na = f(y)\na = |"])
@pytest.mark.parametrize("end", [None, TOKENIZER.end_of_text])
def test_the_mixture_sums_to_one(text: str, end: int | None) -> None:
    mixed = Mixer(recall(text), TRUST, end).mix(logits(), [])
    assert float(mixed.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_what_the_memory_says_gains() -> None:
    token = TOKENIZER.encode("(first)")[0]
    alone = torch.log_softmax(logits(), -1)
    assert Mixer(recall(TEXT), TRUST).mix(logits(), [])[token] > alone[token] + 1


def test_without_trust_or_memory_the_network_decides() -> None:
    alone = torch.log_softmax(logits(), -1)
    for mixer in (Mixer(recall(TEXT), NEVER), Mixer(recall("nothing|"), TRUST)):
        assert torch.allclose(mixer.mix(logits(), []), alone, atol=1e-5)


def test_a_longer_match_is_trusted_more() -> None:
    token = TOKENIZER.encode("(first)")[0]
    short = recall("call(first)\nwhen = call|")
    long = recall("when = the.call(first)\nwhen = the.call|")
    by_match = [float(Mixer(one, TRUST).mix(logits(), [])[token]) for one in (short, long)]
    assert by_match[0] < by_match[1]


def test_in_a_single_line_what_begins_the_next_line_is_the_end() -> None:
    memory = recall("finish(all)\nmore()\nfinish(all)|")
    open_ended = Mixer(memory, TRUST).mix(logits(), [])
    one_line = Mixer(memory, TRUST, TOKENIZER.end_of_text).mix(logits(), [])
    newline = TOKENIZER.encode("\nmore")[0]
    assert open_ended.argmax() == newline
    assert one_line.argmax() == TOKENIZER.end_of_text
    assert one_line[newline] == -torch.inf


def test_the_text_grown_so_far_counts() -> None:
    mixed = Mixer(recall(TEXT), TRUST).mix(logits(), TOKENIZER.encode("("))
    assert mixed.argmax() == TOKENIZER.encode("first")[0]
