"""Text to ids and back, for CodeGeeX-13B's vocabulary and for any tokenizer.json with BPE.

Text is a user's: what looks like a control token in it ("<|endoftext|>") stays ordinary text unless
the caller says otherwise. It knows no prompt format and no model. prompts.py encodes, the engine
decodes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from model_runtime.reading import model_json, model_text
from model_runtime.text.vocabulary import BLANK, control_tokens, steps

CODEGEEX_13B = Path(__file__).parent / "codegeex-13b"

END_OF_TEXT = "<|endoftext|>"
# How SentencePiece writes a byte that no piece has.
BYTE = re.compile("<0x([0-9A-F]{2})>")
# CodeGeeX-13B spends <|extratoken_10|> to <|extratoken_18|> on runs of 2 to 10 spaces.
FIRST_SPACES, LAST_SPACES = 2, 10


class Tokenizer:
    """Encodes and decodes with one `tokenizers` object that has no control tokens of its own.

    `vocab_size` is the number of usable ids, `end_of_text` the id that ends a document, `controls`
    the ids of all control tokens by name, `begin` those that every sequence begins with, `silent`
    those that stand for no text; the others stand for their names, and are `marks`.
    """

    def __init__(
        self,
        bpe: tokenizers.Tokenizer,
        controls: Mapping[str, int],
        begin: Sequence[int] = (),
        end_of_text: int | None = None,
        silent: Collection[str] = (),
    ) -> None:
        self._bpe = bpe
        self.controls = dict(controls)
        self.begin = tuple(begin)
        # Longest first: in an alternation the first that matches wins, not the longest.
        names = sorted(self.controls, key=len, reverse=True)
        self._control_pattern = re.compile("(" + "|".join(map(re.escape, names)) + ")")
        self.silent = frozenset(self.controls[name] for name in silent if name in self.controls)
        self._bytes = _bytes_of_ids(bpe, self.controls)
        for id_ in self.silent:
            self._bytes[id_] = b""
        named = ((name.encode(), id_) for name, id_ in self.controls.items())
        self.marks = frozenset(id_ for name, id_ in named if self._bytes[id_] == name)
        self.vocab_size = len(self._bytes)
        self.end_of_text = self.control(END_OF_TEXT) if end_of_text is None else end_of_text

    @classmethod
    def from_json(
        cls,
        path: Path,
        begin: Sequence[int] = (),
        end_of_text: int | None = None,
        silent: Collection[str] = (),
    ) -> Tokenizer:
        """A `tokenizer.json` of BPE, byte-level or SentencePiece's.

        Raises ValueError or WeightsError when it isn't one.
        """
        description = model_json(path)
        try:
            controls = control_tokens(description)
            bpe = tokenizers.Tokenizer.from_str(json.dumps(_of_text_alone(description, controls)))
            return cls(bpe, controls, begin, end_of_text, silent)
        except Exception as error:  # tokenizers raises bare Exception for a bad description
            raise ValueError(f"not a tokenizer.json: {error!r}") from error

    @classmethod
    def codegeex_13b(cls, folder: Path = CODEGEEX_13B) -> Tokenizer:
        """CodeGeeX-13B's: GPT-2's BPE plus 143 tokens, nine of which are runs of spaces.

        Those nine enter under the spaces they stand for, so that `tokenizers` finds them in the
        text by itself, longest first, which is the reference's rule.
        """
        vocabulary = model_json(folder / "vocab.json")
        controls = model_json(folder / "added_tokens.json")
        merges = model_text(folder / "merges.txt").splitlines()[1:]
        spaces = {
            " " * count: controls[f"<|extratoken_{count + 8}|>"]
            for count in range(FIRST_SPACES, LAST_SPACES + 1)
        }
        pairs = [(left, right) for left, right in (line.split(" ") for line in merges if line)]
        bpe = tokenizers.Tokenizer(models.BPE(vocab=vocabulary | spaces, merges=pairs))
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        bpe.add_tokens([AddedToken(run, normalized=False) for run in spaces])
        return cls(bpe, controls | {END_OF_TEXT: vocabulary[END_OF_TEXT]})

    def encode(self, text: str, control_tokens: bool = False) -> list[int]:
        """The ids of `text`, which must be free of lone surrogates.

        With `control_tokens` the names of control tokens in it become their ids: only for text
        that we wrote ourselves.
        """
        if not control_tokens:
            return self._encode(text)
        ids: list[int] = []
        for part in self._control_pattern.split(text):
            control = self.controls.get(part)
            ids.extend(self._encode(part) if control is None else [control])
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The whole text; U+FFFD for broken bytes, nothing for padding ids."""
        return b"".join(map(self._bytes_of, ids)).decode("utf-8", errors="replace")

    def stream(self) -> TextStream:
        """A decoder for ids that arrive one after another."""
        return TextStream(self)

    @property
    def pieces(self) -> Sequence[bytes]:
        """For each id the bytes it stands for, none for padding ids."""
        return self._bytes

    def control(self, name: str) -> int:
        """The id of a control token. Raises KeyError for an unknown name."""
        return self.controls[name]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._bpe.encode(text, add_special_tokens=False).ids
        return ids

    def _bytes_of(self, token: int) -> bytes:
        return self._bytes[token] if 0 <= token < self.vocab_size else b""


class TextStream:
    """Text of ids as they come, holding back characters that aren't complete."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that `token` completes, often all of its own, sometimes nothing."""
        return self._utf8.decode(self._tokenizer._bytes_of(token))

    def fork(self) -> TextStream:
        """Another with the same half of a character held back."""
        twin = TextStream(self._tokenizer)
        twin._utf8.setstate(self._utf8.getstate())
        return twin


def _of_text_alone(description: dict[str, Any], controls: Mapping[str, int]) -> dict[str, Any]:
    """The same tokenizer, which never makes a control token or a blank of its own."""
    model = description["model"]
    added = [one for one in description["added_tokens"] if one["content"] not in controls]
    merges = [
        pair
        for pair in model["merges"]
        if "".join(pair.split(" ") if isinstance(pair, str) else pair) not in controls
    ]
    normalizers = [
        step for step in steps(description.get("normalizer")) if step["type"] != "Prepend"
    ]
    splitters = [_without_opening(step) for step in steps(description.get("pre_tokenizer"))]
    vocabulary = {
        token: id_
        for token, id_ in model["vocab"].items()
        if token not in controls or token == model.get("unk_token")
    }
    return description | {
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splitters},
        "model": model | {"vocab": vocabulary, "merges": merges},
        "truncation": None,
        "padding": None,
    }


def _without_opening(splitter: Mapping[str, Any]) -> dict[str, Any]:
    match splitter["type"]:
        case "Metaspace":
            changed: dict[str, Any] = {"prepend_scheme": "never"}
        case "ByteLevel":
            changed = {"add_prefix_space": False}
        case _:
            changed = {}
    kept = {key: value for key, value in splitter.items() if key != "add_prefix_space"}
    return kept | changed


def _bytes_of_ids(bpe: tokenizers.Tokenizer, controls: Mapping[str, int]) -> list[bytes]:
    """For each id the bytes it stands for. Control tokens stand for their names."""
    alphabet = _byte_alphabet()
    table: dict[int, bytes] = {id_: name.encode() for name, id_ in controls.items()}
    byte_level = "ByteLevel" in repr(bpe.decoder)
    for token, id_ in bpe.get_vocab().items():
        if token.isspace():  # a run of spaces as one token: a BPE token never holds a blank
            table[id_] = token.encode()
        elif id_ in table:
            continue
        elif not byte_level:
            byte = BYTE.fullmatch(token)
            table[id_] = bytes([int(byte[1], 16)]) if byte else token.replace(BLANK, " ").encode()
        elif all(character in alphabet for character in token):
            table[id_] = bytes(alphabet[character] for character in token)
        else:
            table[id_] = token.encode()
    return [table.get(id_, b"") for id_ in range(max(table) + 1)]


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte: itself where visible, else U+0100 onwards."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    stand_ins = {chr(byte): byte for byte in visible}
    return stand_ins | {chr(0x100 + index): byte for index, byte in enumerate(hidden)}
