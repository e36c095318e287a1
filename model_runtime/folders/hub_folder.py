"""A model folder as the hub has them: what its files and the catalogue say of it.

config.json says which network it is, tokenizer.json which control tokens there are, and from these
or from the catalogue follows how it is asked. Reads JSON alone, so that a client can be told what a
model can before torch is imported; hub_network.py loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from model_runtime import logs
from model_runtime.errors import WeightsError
from model_runtime.hub import cache, catalogue, soundness
from model_runtime.hub.catalogue import Model
from model_runtime.prompts import chat, encoder_decoder
from model_runtime.prompts.family import Family
from model_runtime.prompts.rendering import fitting, of_catalogue
from model_runtime.prompts.template import conversation
from model_runtime.reading import model_json, model_template
from model_runtime.text.vocabulary import (
    BLANK,
    ControlToken,
    begins_with,
    control_tokens,
    described,
    is_sentencepiece,
    opening,
)
from model_runtime.wire.protocol import Task

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
GENERATION_CONFIG = "generation_config.json"
CHAT_TEMPLATE = "chat_template.jinja"
# Ours in config.json: how the matrices are kept when nobody says it, for a model that was made of a
# file with fewer bits.
KEPT_AS = "codegeex_kept_as"
# What a row of the cache holds is served, and not more: a prompt of this length is 30000
# characters of code.
LONGEST_CONTEXT = 8192
# Encoder-decoders, and how long a source may be for one that doesn't say it. Its positions are
# relative, so that more would run, but with less sense than it was trained to.
ENCODER_DECODER = "t5"
USUAL_SOURCE = 512


@dataclass(frozen=True, slots=True)
class Encoder:
    """What an encoder-decoder's prompt is: `longest` tokens at most, the last of them `end`, for
    the encoder, and `start`, with which the decoder begins."""

    longest: int
    end: int
    start: int


@dataclass(frozen=True)
class HubFolder:
    """`model` is its line in the catalogue, None for a folder that nobody knows."""

    path: Path
    model: Model | None
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.model.name if self.model else self.path.name

    @property
    def encodes(self) -> bool:
        """Whether an encoder reads the prompt before a decoder writes."""
        return bool(self.config["model_type"] == ENCODER_DECODER)

    @property
    def context(self) -> int:
        """Tokens that are served: what catalogue and network allow, at most LONGEST_CONTEXT.

        An answer may be as long as the source that an encoder reads.
        """
        keys = ("max_position_embeddings", "n_positions", "sliding_window")
        limits = [int(limit) for key in keys if (limit := self.config.get(key))]
        known = limits or [USUAL_SOURCE] * self.encodes
        longest = min([LONGEST_CONTEXT, *known, *([self.model.context] if self.model else [])])
        return 2 * longest if self.encodes else longest

    @property
    def encoder(self) -> Encoder | None:
        """None for a decoder alone."""
        if not self.encodes:
            return None
        padding = self.config.get("pad_token_id", 0)
        start = self.config.get("decoder_start_token_id", padding)
        return Encoder(self.context // 2, self.ends[0], int(start))

    @cached_property
    def family(self) -> Family:
        """How it is asked. Raises WeightsError when nothing is known of that."""
        untuned = self._untuned()
        template = self.chat_template if self.model is None or self.model.chat else ""
        if not template or Task.COMPLETE not in untuned.formats:
            return untuned
        try:
            turns = conversation(
                template,
                chat.SYSTEM,
                self.special_tokens,
                self._described,
                opening(self._tokenizer),
            )
        except WeightsError as error:
            spoiled = f"{error} {self.name} completes code and can't be asked in words."
            logs.LOG.warning("%s", spoiled)
            return replace(untuned, spoiled=spoiled)
        complete = untuned.formats[Task.COMPLETE]
        return chat.family(turns, complete, untuned.controls, whole=True)

    def _untuned(self) -> Family:
        """How it is asked where it is no part of a conversation."""
        if self.model is None:
            if self.encodes:
                return encoder_decoder.fitting(self.controls)
            network, sentencepiece = self.config["model_type"], is_sentencepiece(self._tokenizer)
            return fitting(self.controls, network, sentencepiece)
        try:
            return of_catalogue(self.model.format)
        except ValueError as error:
            raise WeightsError(
                f"{self.name} can only {', '.join(sorted(self.model.abilities))}, which isn't "
                "served as a completion; see codegeex-lsp models list."
            ) from error

    @cached_property
    def controls(self) -> dict[str, int]:
        """The control tokens by name."""
        return control_tokens(self._tokenizer)

    @cached_property
    def _described(self) -> dict[str, ControlToken]:
        return described(self._tokenizer)

    @cached_property
    def chat_template(self) -> str:
        """In Jinja; "" for a model that isn't tuned to conversations."""
        beside = self.path / CHAT_TEMPLATE
        if beside.exists():
            return model_template(beside)
        found = self._tokenizer_config.get("chat_template") or ""
        return found if isinstance(found, str) else _default_of(found)

    @cached_property
    def special_tokens(self) -> dict[str, str]:
        """The names of bos_token, eos_token and their like, for the chat template."""
        tokens = {key: one for key, one in self._tokenizer_config.items() if key.endswith("_token")}
        names = {
            key: one["content"] if isinstance(one, dict) else one for key, one in tokens.items()
        }
        return {key: name for key, name in names.items() if isinstance(name, str)}

    @property
    def begin(self) -> tuple[int, ...]:
        """The ids that every sequence begins with."""
        begins = self._tokenizer_config.get("add_bos_token")
        if begins is None:
            names = begins_with(self._tokenizer)
        else:
            names = [self.special_tokens.get("bos_token", "")] if begins else []
        return tuple(self.controls[name] for name in names if name in self.controls)

    @property
    def ends(self) -> tuple[int, ...]:
        """The ids that end an answer, the one that ends a document first, and at last all special
        ones: no answer holds them."""
        told = [model_json(self.path / GENERATION_CONFIG, {}), self.config]
        ids = [id_ for one in told for id_ in _as_list(one.get("eos_token_id"))]
        name = self.special_tokens.get("eos_token", "")
        ids += [self.controls[name]] if name in self.controls else []
        if self.model:
            ids += self.model.stop_ids
            stops = [name for stop in self.model.stops for name in (stop, BLANK + stop)]
            ids += [self.controls[name] for name in stops if name in self.controls]
        if not ids:
            raise WeightsError(
                f"{self.path} doesn't say which token ends a text; add its id to {CONFIG} as "
                '"eos_token_id".'
            )
        ids += [self.controls[name] for name, told in self._described.items() if told.special]
        return tuple(dict.fromkeys(ids))

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer and are no tokens of their own."""
        told = self.model.stops if self.model else ()
        return tuple(one for one in told if not {one, BLANK + one} & self.controls.keys())

    @cached_property
    def _tokenizer(self) -> dict[str, Any]:
        return model_json(self.path / TOKENIZER)

    @cached_property
    def _tokenizer_config(self) -> dict[str, Any]:
        return model_json(self.path / TOKENIZER_CONFIG, {})


def _default_of(templates: Any) -> str:
    """A tokenizer may have several, each with a name; without "default" it is the first."""
    named = {one.get("name"): one.get("template") for one in templates if isinstance(one, dict)}
    return str(named.get("default") or next(iter(named.values()), ""))


def find(name: str) -> HubFolder | None:
    """A model of the catalogue by its name, or a folder by its path; None when it is one of ours.

    Raises UnknownModelError for a name that is neither, and HubError and WeightsError for what is
    no whole model.
    """
    known = catalogue.models().get(name.lower())
    path = cache.folder_of(name) if known else cache.place_of(name)
    config = model_json(path / CONFIG, {})
    if not isinstance(config.get("model_type"), str):
        return None
    soundness.check(path)
    return HubFolder(path, known, config)


def _as_list(ids: Any) -> list[int]:
    return ids if isinstance(ids, list) else [] if ids is None else [ids]
