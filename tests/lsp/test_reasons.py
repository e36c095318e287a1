from __future__ import annotations

import re

import pytest

from codegeex_lsp.runtime.reasons import SENTENCES, Explained, sentence
from model_runtime.wire.protocol import Reason

JARGON = re.compile(
    r"\b(engine|runtime|decode|logits?|logprobs?|kv|cache|prefill|tokens?|ipc|daemon|socket|suffix|"
    r"prefix|exception|traceback|null|server|lsp)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_one_plain_sentence(reason: Reason) -> None:
    words = sentence(reason)
    assert words[0].isupper()
    assert words.endswith(".")
    assert ". " not in words
    assert len(words) <= 160
    assert not JARGON.search(re.sub(r"`[^`]*`", "", words))


def test_no_two_reasons_say_the_same() -> None:
    assert len(set(SENTENCES.values())) == len(Reason)


def test_the_detail_follows_the_sentence() -> None:
    assert str(Explained(Reason.BUSY)) == sentence(Reason.BUSY)
    assert str(Explained(Reason.LOADING, "40 % done.")).endswith("ready. 40 % done.")
