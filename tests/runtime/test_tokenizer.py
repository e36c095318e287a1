"""CodeGeeX-13B's tokenizer against the published one, the embedded one against its seed, and the
promise both make: a user's text stays text."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_runtime.errors import WeightsError
from model_runtime.folders.native import TOKENIZER_FILE
from model_runtime.options import EMBEDDED_FOLDER
from model_runtime.text.tokenizer import Tokenizer

LOOKALIKES = [
    "<|endoftext|>",
    "<|extratoken_10|>",
    "a<|extratoken_18|>b",
    "tok = '<|extratoken_12|>'",
    "<|fim_prefix|>x<|fim_suffix|>",
    "<|pad|><|endoftext|",
]
ODD_TEXTS = [
    "",
    " ",
    "\r\n\r\n",
    "\t x",
    "\0",
    "\ufeffa",
    "é\u0301",
    "日本語 👩\u200d💻",
    "\u00a0\u3000x",
]
ODD_TEXTS += [" " * count + "x" for count in range(1, 33)]

CODEGEEX = Tokenizer.codegeex_13b()
NANO = Tokenizer.from_json(EMBEDDED_FOLDER / TOKENIZER_FILE)
BOTH = pytest.mark.parametrize("tokenizer", [CODEGEEX, NANO], ids=["13b", "nano"])


def lines_of(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines
    return lines


def streamed(tokenizer: Tokenizer, ids: list[int]) -> str:
    """What comes out, and behind it what is held back at the end: half a character."""
    stream, whole = tokenizer.stream(), tokenizer.decode(ids)
    text = "".join(map(stream.push, ids))
    assert whole in (text, text + "\ufffd")
    return whole


# --- against the published tokenizer ----------------------------------------------------------


def test_every_golden_string(goldens: Path) -> None:
    for case in lines_of(goldens / "tokenizer/encode_decode.jsonl"):
        assert CODEGEEX.encode(case["text"], control_tokens=True) == case["ids"], case["id"]
        assert CODEGEEX.decode(case["ids"]) == case["decoded"], case["id"]
        assert streamed(CODEGEEX, case["ids"]) == case["decoded"], case["id"]


def test_as_user_text_only_the_lookalikes_differ_and_all_round_trip(goldens: Path) -> None:
    for case in lines_of(goldens / "tokenizer/encode_decode.jsonl"):
        ids = CODEGEEX.encode(case["text"])
        assert CODEGEEX.decode(ids) == case["text"], case["id"]
        if not any(name in case["text"] for name in CODEGEEX.controls):
            assert ids == case["ids"], case["id"]


def test_golden_streams(goldens: Path) -> None:
    """What is out after each id is the reference's text with its broken tail held back."""
    for case in lines_of(goldens / "tokenizer/stream_decode.jsonl"):
        stream, text = CODEGEEX.stream(), ""
        wanted = case.get("decoded_prefixes", ["", case.get("decoded")])
        for token, prefix in zip(case["ids"], wanted[1:], strict=True):
            text += stream.push(token)
            assert text == prefix.rstrip("\ufffd")


# --- both -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("text", LOOKALIKES + ODD_TEXTS)
def test_text_round_trips_and_holds_no_control_token(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert streamed(tokenizer, ids) == text
    named = {
        id_ for name, id_ in tokenizer.controls.items() if tokenizer.decode([id_]).strip() == name
    }
    assert not named & set(ids)


@BOTH
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= token < tokenizer.vocab_size for token in ids)


@BOTH
def test_control_tokens_on_request(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("x<|endoftext|>y", control_tokens=True)
    assert ids == [*tokenizer.encode("x"), tokenizer.end_of_text, *tokenizer.encode("y")]
    with pytest.raises(KeyError):
        tokenizer.control("<|nothing|>")


@BOTH
def test_half_a_character_is_held_back_until_it_is_whole(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("\U0001f9ff")
    assert len(ids) > 1
    stream = tokenizer.stream()
    assert [stream.push(token) for token in ids[:-1]] == [""] * (len(ids) - 1)
    assert stream.push(ids[-1]) == "\U0001f9ff"
    cut_short = tokenizer.stream()
    assert cut_short.push(ids[0]) == ""
    assert tokenizer.decode(ids[:1]) == "\ufffd"


@BOTH
def test_broken_bytes_become_replacement_characters(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("\U0001f9ff")[:1] + tokenizer.encode("a")
    assert tokenizer.decode(ids) == streamed(tokenizer, ids) == "\ufffda"


@BOTH
@pytest.mark.parametrize("token", [-1, 50_400, 60_000])
def test_ids_of_no_token_are_nothing(tokenizer: Tokenizer, token: int) -> None:
    assert tokenizer.decode([token]) == ""


def test_sizes_and_ids() -> None:
    assert (CODEGEEX.vocab_size, CODEGEEX.end_of_text) == (50_400, 50_256)
    assert (NANO.vocab_size, NANO.end_of_text) == (8_192, 0)
    assert CODEGEEX.control("<|extratoken_10|>") == 50_266
    assert [NANO.control(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [
        (1, [220]),
        (2, [50_266]),
        (10, [50_274]),
        (11, [50_274, 220]),
        (20, [50_274, 50_274]),
        (23, [50_274, 50_274, 50_267]),
    ],
)
def test_runs_of_spaces_in_codegeex(spaces: int, expected: list[int]) -> None:
    assert CODEGEEX.encode(" " * spaces) == expected


def test_nano_gives_the_seeds_ids(nano_seed: Path) -> None:
    for case in json.loads((nano_seed / "check.json").read_text(encoding="utf-8")):
        parts = [case["tag"], "<|fim_suffix|>", case["suffix"], "<|fim_prefix|>", case["prefix"]]
        assert NANO.encode("".join(parts), control_tokens=True) == case["ids"]
        assert NANO.decode(case["greedy"]) == case["text"]


@BOTH
def test_two_kilobytes_take_less_than_two_milliseconds(tokenizer: Tokenizer) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    chunks = [text[start : start + 2048] for start in range(0, len(text) - 2048, 300)]
    best = min(seconds(tokenizer, chunk) for chunk in chunks)
    assert best < 0.002


def seconds(tokenizer: Tokenizer, text: str) -> float:
    started = time.perf_counter()
    tokenizer.encode(text)
    return time.perf_counter() - started


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"added_tokens": []}',
        "\x00",
        '{"added_tokens": [{"content": "x"}]}',
        '{"added_tokens": [], "model": {"type": "Nonsense"}}',
    ],
)
def test_what_is_no_tokenizer_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises((ValueError, WeightsError)):
        Tokenizer.from_json(path)


def test_a_tokenizer_without_an_end_of_text(tmp_path: Path) -> None:
    description = json.loads((EMBEDDED_FOLDER / TOKENIZER_FILE).read_text(encoding="utf-8"))
    description["added_tokens"] = description["added_tokens"][1:]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^not a tokenizer\.json"):
        Tokenizer.from_json(path)
