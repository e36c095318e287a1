"""Texts to vectors of length 1: the encoder of a T5, run by transformers.

CodeT5+'s embedding model projects the state of the first token (Wang et al. 2023, arXiv:2305.07922,
section 3.3); of any other T5 the mean of all states is taken, those of padding left out. Loads from
a folder as published, safetensors only; its publisher's Python code is never run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_runtime.device import memory
from model_runtime.errors import WeightsError
from model_runtime.folders import fit
from model_runtime.folders.assembly import Shards
from model_runtime.hub import soundness
from model_runtime.hub.soundness import PROJECTED
from model_runtime.reading import model_json

POOLED = "t5"
# Positions are relative, so that a longer text would run, but none was longer in training.
USUAL_CONTEXT = 512
LONGEST_CHARS_PER_TOKEN = 8


class TextEncoder:
    """`encoder` is a T5EncoderModel; without a `projection` the states' mean is the vector.

    `identity` is another for every other encoder.
    """

    def __init__(
        self, encoder: Any, projection: nn.Linear | None, tokenizer: Any, identity: str
    ) -> None:
        config = encoder.config
        self._encoder = encoder
        self._projection = projection
        self._tokenizer = tokenizer
        self.identity = identity
        self.context: int = getattr(config, "n_positions", None) or USUAL_CONTEXT
        self.dimensions: int = projection.out_features if projection else config.d_model

    @property
    def description(self) -> str:
        kind = "mean of the states" if self._projection is None else "projected first state"
        return f"{self.dimensions} dimensions, {kind}"

    @classmethod
    def load(cls, folder: Path, place: torch.device, dtype: torch.dtype) -> TextEncoder:
        """Raises WeightsError for what is no such encoder, FitError when it is too large."""
        soundness.check(folder)
        config = model_json(folder / soundness.CONFIG)
        kind = config.get("model_type")
        if kind not in (PROJECTED, POOLED):
            raise WeightsError(
                f'{folder} is a "{kind}" model and none that makes vectors; use a T5 encoder such '
                "as codet5p-110m-embedding."
            )
        shards = Shards(folder, sorted(path.name for path in folder.glob("*.safetensors")))
        _check_memory(shards, place, dtype)
        identity = _identity(folder)
        from transformers import AutoTokenizer, T5EncoderModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        shape = _shape(config)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, config=shape, local_files_only=True)
            loaded: Any = T5EncoderModel.from_pretrained(
                folder,
                config=shape,
                # Any other would be torch's default for as long as it loads, in all threads.
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
            projection = _projection(shards, place, dtype) if kind == PROJECTED else None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            if memory.out_of_memory(error):
                raise
            raise WeightsError(f"{folder} can't be used: {type(error).__name__}.") from error
        encoder, told = loaded
        if missing := sorted(told["missing_keys"]):
            raise WeightsError(f"{folder} lacks {len(missing)} tensors, {missing[0]} among them.")
        ready = encoder.to(place, dtype).requires_grad_(False).eval()
        return cls(ready, projection, tokenizer, identity)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text as the model was trained to read it, cut to its context."""
        longest = LONGEST_CHARS_PER_TOKEN * self.context
        if not texts:
            return []
        ids: list[list[int]] = self._tokenizer(
            [text[:longest] for text in texts],
            truncation=True,
            max_length=self.context,
            split_special_tokens=True,
        ).input_ids
        return ids

    @torch.inference_mode()
    def vectors(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """float32 [n, dimensions] of n texts' tokens, all of length 1."""
        longest = max(map(len, texts))
        shape, place = (len(texts), longest), self._encoder.device
        ids = torch.full(shape, self._encoder.config.pad_token_id, device=place)
        seen = torch.zeros(shape, dtype=torch.long, device=place)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text, device=place)
            seen[row, : len(text)] = 1
        states = self._encoder(input_ids=ids, attention_mask=seen).last_hidden_state
        if self._projection is not None:
            pooled = self._projection(states[:, 0])
        else:
            weights = seen.unsqueeze(-1).to(states.dtype)
            pooled = (states * weights).sum(1) / weights.sum(1)
        return functional.normalize(pooled.float(), dim=-1)


# What a published config says of its Python code and of its own kind.
_NOT_SHAPE = {"auto_map", "architectures", "model_type", "transformers_version", "torch_dtype"}


def blank(config: Mapping[str, Any]) -> nn.Module:
    """The encoder without storage: shapes only."""
    from transformers import T5EncoderModel

    with torch.device("meta"):
        encoder: nn.Module = T5EncoderModel(_shape(config))
    return encoder


def _shape(config: Mapping[str, Any]) -> Any:
    from transformers import T5Config

    return T5Config(**{key: value for key, value in config.items() if key not in _NOT_SHAPE})


def _identity(folder: Path) -> str:
    """Of the files as they are now: names, sizes and times. Reading them takes seconds."""
    kinds = (".safetensors", ".json", ".model", ".txt")
    files = sorted(path for path in folder.iterdir() if path.suffix in kinds)
    told = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _projection(shards: Shards, place: torch.device, dtype: torch.dtype) -> nn.Linear:
    """The layer behind the encoder, which transformers has no name for."""
    weight, bias = (shards.read(f"proj.{name}").to(place, dtype) for name in ("weight", "bias"))
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta", dtype=dtype)
    layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    return layer.requires_grad_(False)


def _check_memory(shards: Shards, place: torch.device, dtype: torch.dtype) -> None:
    """Raises FitError."""
    parameters = sum(tensor.numel() for tensor in shards.described.values())
    need = fit.encoder_bytes(parameters, str(dtype).removeprefix("torch."))
    free = memory.free_bytes(place)
    if free is not None and need > free:
        raise fit.FitError(
            f"The embedding model {shards.folder.name} needs {need / fit.GIB:.1f} GiB, and "
            f"{free / fit.GIB:.1f} GiB are free; use a smaller one."
        )
