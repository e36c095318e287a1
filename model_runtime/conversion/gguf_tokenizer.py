"""The tokenizer in a GGUF file's metadata as the files a hub's folder has.

Two kinds are written by llama.cpp for the networks served here: "gpt2", byte-level BPE with merges,
and "llama", SentencePiece's BPE with scores. What cuts a text into words before is known by a name
alone ("pre"); the patterns are those of the models' own tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

from model_runtime.conversion.gguf_file import GgufFile
from model_runtime.errors import ConversionError
from model_runtime.text.vocabulary import BLANK

# What "tokenizer.ggml.token_type" says of an id.
_CONTROL, _USER_DEFINED = 3, 4

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
# By name: the pattern of words, and whether each digit stands alone.
_WORDS = {
    "default": (_GPT2, False),
    "gpt-2": (_GPT2, False),
    "smollm": (_GPT2, True),
    "starcoder": (_GPT2, True),
    "refact": (_GPT2, True),
    "command-r": (_GPT2, True),
    "codeshell": (_GPT2, True),
    "llama-bpe": (_LLAMA3, False),
    "dbrx": (_LLAMA3, False),
    "qwen2": (_QWEN2, False),
    "deepseek-r1-qwen": (_QWEN2, False),
}


def files(source: GgufFile) -> Iterator[tuple[str, bytes]]:
    """tokenizer.json, tokenizer_config.json and the chat template. Raises ConversionError."""
    kind = source.get("tokenizer.ggml.model")
    tokens = source.get("tokenizer.ggml.tokens")
    if not tokens:
        raise ConversionError(f"{source.path} has no tokenizer; get the model with one.")
    if kind == "gpt2":
        tokenizer = _byte_level(source, tokens)
    elif kind == "llama":
        tokenizer = _sentence_piece(source, tokens)
    else:
        raise ConversionError(
            f'The tokenizer of {source.path} is of the kind "{kind}"; "gpt2" and "llama" can be '
            "used."
        )
    types = source.get("tokenizer.ggml.token_type") or []
    added = [
        AddedToken(tokens[n], normalized=False, special=kind == _CONTROL)
        for n, kind in enumerate(types)
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    tokenizer.add_tokens(added)
    yield "tokenizer.json", tokenizer.to_str().encode()
    yield "tokenizer_config.json", json.dumps(_config(source, tokens), indent=2).encode()
    if template := source.get("tokenizer.chat_template"):
        yield "chat_template.jinja", template.encode()


def special_ids(source: GgufFile) -> dict[str, int]:
    """bos_token_id, eos_token_id and pad_token_id, as far as they are told."""
    told = {
        "bos_token_id": "bos_token_id",
        "eos_token_id": "eos_token_id",
        "pad_token_id": "padding_token_id",
    }
    found = {name: source.get(f"tokenizer.ggml.{key}") for name, key in told.items()}
    return {name: int(id_) for name, id_ in found.items() if id_ is not None}


def _config(source: GgufFile, tokens: list[str]) -> dict[str, Any]:
    names = {key.removesuffix("_id"): tokens[id_] for key, id_ in special_ids(source).items()}
    usual = source.get("tokenizer.ggml.model") == "llama"
    begins = source.get("tokenizer.ggml.add_bos_token", usual)
    return {"add_bos_token": bool(begins), **names}


def _byte_level(source: GgufFile, tokens: list[str]) -> Tokenizer:
    merges = source.get("tokenizer.ggml.merges")
    if not merges:
        raise ConversionError(f"{source.path} has a tokenizer without merges; get the model anew.")
    vocabulary = {token: id_ for id_, token in enumerate(tokens)}
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    model = _bpe(source, vocabulary, pairs, ignore_merges=_whole_words(source))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _words(source)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _bpe(source: GgufFile, ids: dict[str, int], merges: list[Any], **options: Any) -> models.BPE:
    try:
        return models.BPE(ids, merges, **options)
    except Exception as error:  # it raises no class of its own
        raise ConversionError(
            f"The tokenizer of {source.path} is damaged; get the model anew."
        ) from error


def _whole_words(source: GgufFile) -> bool:
    """Llama 3 takes a word that is a token as it is, whatever the merges say."""
    return bool(source.get("tokenizer.ggml.pre") == "llama-bpe")


def _words(source: GgufFile) -> PreTokenizer:
    name = source.get("tokenizer.ggml.pre", "default")
    if name not in _WORDS:
        raise ConversionError(
            f'{source.path} cuts words as "{name}" does, which isn\'t known here; get the model '
            "from the hub."
        )
    pattern, digits_alone = _WORDS[name]
    steps: list[PreTokenizer] = [pre_tokenizers.Digits(True)] if digits_alone else []
    steps.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    return pre_tokenizers.Sequence(steps)


def _sentence_piece(source: GgufFile, tokens: list[str]) -> Tokenizer:
    """SentencePiece merges the pair whose token has the best score, which ranks the merges."""
    scores = source.get("tokenizer.ggml.scores")
    if not scores:
        raise ConversionError(f"{source.path} has a tokenizer without scores; get the model anew.")
    ids = {token: id_ for id_, token in enumerate(tokens)}
    merges = []
    for token, id_ in ids.items():
        halves = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        pairs = [pair for pair in halves if pair[0] in ids and pair[1] in ids]
        pairs.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        merges += [(scores[id_], pair) for pair in pairs]
    merges.sort(key=lambda merge: merge[0], reverse=True)
    unknown = source.get("tokenizer.ggml.unknown_token_id")
    model = _bpe(
        source,
        ids,
        [pair for _, pair in merges],
        unk_token=None if unknown is None else tokens[unknown],
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    leads = source.get("tokenizer.ggml.add_space_prefix", True)
    blanks = normalizers.Replace(" ", BLANK)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(BLANK), blanks]) if leads else blanks
    )
    steps = [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * leads)
    return tokenizer
