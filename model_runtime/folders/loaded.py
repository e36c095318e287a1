"""What a folder's reader gives the engine, and how its matrices are kept in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model_runtime.decoding.mixing import Trust
from model_runtime.errors import WeightsError
from model_runtime.folders import fit
from model_runtime.folders.hub_folder import Encoder
from model_runtime.networks.kept import ALL_KEPT, BitsAndBytes, Kept, Precision
from model_runtime.networks.kv_size import KVSize, Shape
from model_runtime.networks.network import Network
from model_runtime.prompts.family import Family
from model_runtime.prompts.rendering import PromptFormat
from model_runtime.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything the engine needs of a model.

    `trust` says how much its own choice of a token counts beside the memory's, None not to mix
    them. `ends` are tokens and `stops` texts that end an answer, beside those of its prompts. With
    an `encoder` it is an encoder-decoder. `kv` is the KV cache that there is memory for.
    """

    name: str
    network: Network
    tokenizer: Tokenizer
    format: PromptFormat | Family
    config: Shape
    kv: KVSize
    trust: Trust | None = None
    ends: tuple[int, ...] = ()
    stops: tuple[str, ...] = ()
    encoder: Encoder | None = None


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How a model's matrices are `stored` and `kept`, and what it computes in, and where."""

    name: str
    stored: Precision
    kept: Kept
    shape: Shape
    dtype: torch.dtype
    device: torch.device

    def need(self, free: int | None) -> fit.Need:
        """What it takes of `free` bytes. Raises FitError when these are too few."""
        needs = self.needs(free)
        fit.check(self.name, self.kept, self.stored, needs, free)
        return needs[self.kept]

    def ran_out(self, free: int | None) -> fit.FitError:
        """The error for memory that ran out while loading; `free` is what there is without it."""
        return fit.ran_out(self.name, self.kept, self.stored, self.needs(free), free)

    def needs(self, free: int | None) -> fit.Needs:
        """The same for every way to keep the matrices, with the least KV cache where none fits."""
        named = str(self.dtype).removeprefix("torch.")
        return fit.needs(self.shape, named, on_cpu=self.device.type == "cpu", free=free)


def kept_as(name: str, stored: Precision, quantize: str, device: torch.device) -> Kept:
    """What `quantize` means for a model `stored` so. Raises WeightsError."""
    if quantize in ("", stored):
        return stored
    options = [option for option in ALL_KEPT if option is not Precision.FLOAT16]
    kept = next((option for option in options if option == quantize), None)
    if kept is None:
        raise WeightsError(f'There is no quantization "{quantize}"; use {", ".join(options)}.')
    if stored is not Precision.FLOAT16:
        raise WeightsError(
            f"{name} is stored in {stored} already, so it can't be quantized to {kept}; "
            'set quantize = "" or convert the checkpoint again.'
        )
    if isinstance(kept, BitsAndBytes) and device.type == "npu":
        raise WeightsError(f"bitsandbytes has no {kept} for NPUs; use int8 or int4.")
    return kept
