"""From a model folder of the hub to a network ready to run, through transformers.

transformers reads the tensors, safetensors alone, and runs no code that came with them; a matrix
that is to be quantized is quantized where it lies, one at a time. opening.py calls it;
hub_folder.py knows how the model is asked.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedConfig
from transformers.utils import logging as transformers_logging

from model_runtime.device import memory
from model_runtime.errors import WeightsError
from model_runtime.folders.assembly import quantize_layer
from model_runtime.folders.hub_folder import KEPT_AS, TOKENIZER, HubFolder
from model_runtime.folders.loaded import LoadedModel, MemoryPlan, kept_as
from model_runtime.networks import encoder_decoder, transformers_lm
from model_runtime.networks.encoder_decoder import EncoderDecoder
from model_runtime.networks.kept import Precision
from model_runtime.networks.kv_size import NetworkShape
from model_runtime.networks.network import Network
from model_runtime.networks.transformers_lm import TransformersLM
from model_runtime.text.tokenizer import Tokenizer

transformers_logging.set_verbosity(logging.ERROR)
transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def load(folder: HubFolder, device: torch.device, dtype: torch.dtype, quantize: str) -> LoadedModel:
    """Raises WeightsError and FitError, as opening.load() does."""
    chosen = plan(folder, device, dtype, quantize)
    need = chosen.need(memory.free_bytes(device))
    return LoadedModel(
        name=folder.name,
        tokenizer=_tokenizer(folder, chosen.shape.vocab_size),
        network=_network(folder, chosen),
        format=folder.family,
        config=chosen.shape,
        kv=need.kv,
        ends=folder.ends,
        stops=folder.stops,
        encoder=folder.encoder,
    )


def plan(folder: HubFolder, device: torch.device, dtype: torch.dtype, quantize: str) -> MemoryPlan:
    """From the folder's config alone. Raises WeightsError for a network that can't be served.

    What was trained in bfloat16 can overflow in float16, so it computes in the former.
    """
    stored, shape = Precision.FLOAT16, _shape(folder)
    kept = kept_as(folder.name, stored, quantize or folder.config.get(KEPT_AS, ""), device)
    if kept is not stored and not shape.linear_parameters:
        raise WeightsError(f'{folder.name} has nothing to be quantized; set quantize = "".')
    if dtype is torch.float16 and _config(folder).dtype is torch.bfloat16:
        dtype = torch.bfloat16
    return MemoryPlan(folder.name, stored, kept, shape, dtype, device)


def examine(folder: HubFolder) -> None:
    """All but the weights. Raises WeightsError."""
    _tokenizer(folder, _shape(folder).vocab_size)


def blank(folder: HubFolder) -> nn.Module:
    """The folder's network without storage. Raises WeightsError for one that can't be served."""
    _shape(folder)
    kind = AutoModelForSeq2SeqLM if folder.encodes else AutoModelForCausalLM
    return transformers_lm.blank(_config(folder), kind)


def _shape(folder: HubFolder) -> NetworkShape:
    of = encoder_decoder.shape if folder.encodes else transformers_lm.shape
    return of(folder.name, _config(folder), folder.context)


def _network(folder: HubFolder, chosen: MemoryPlan) -> Network:
    """The network as it was planned. Raises WeightsError."""
    kept, device, dtype = chosen.kept, chosen.device, chosen.dtype
    if kept is Precision.FLOAT16:
        lm = _read(folder, dtype)
        _move(lm, set(), device, dtype)
    else:
        lm = _read(folder, torch.float16)
        kind = encoder_decoder if folder.encodes else transformers_lm
        layers = kind.linear_layers(lm)
        _move(lm, set(layers.values()), device, dtype)
        for name, layer in layers.items():
            weight = layer.weight.detach().to(device)
            quantize_layer(lm, f"{name}.weight", weight, kept, device, dtype)
    ready = lm.requires_grad_(False).eval()
    return EncoderDecoder(ready) if folder.encodes else TransformersLM(ready)


def _tokenizer(folder: HubFolder, rows: int) -> Tokenizer:
    """Raises WeightsError when it is damaged or another model's than one of `rows` ids."""
    path = folder.path / TOKENIZER
    try:
        silent = folder.family.silent
        made = Tokenizer.from_json(path, folder.begin, folder.ends[0], silent)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} can't be used: {error}.") from error
    if made.vocab_size > rows:
        raise WeightsError(
            f"{path} has {made.vocab_size} tokens and the network only {rows}: "
            "they belong to different models."
        )
    for name in folder.family.controls:
        if name not in made.controls:
            raise WeightsError(f"{path} lacks {name}, which the model's prompts need.")
    return made


def _config(folder: HubFolder) -> PreTrainedConfig:
    kind = folder.config["model_type"]
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise WeightsError(
            f'{folder.name} is a "{kind}" network, which transformers doesn\'t know or whose '
            "config.json is damaged; see codegeex-lsp models list for others."
        ) from error
    if getattr(config, "quantization_config", None):
        raise WeightsError(
            f"{folder.name} is stored quantized; use the float model and set quantize."
        )
    return config


def _read(folder: HubFolder, dtype: torch.dtype) -> Any:
    kind: Any = AutoModelForSeq2SeqLM if folder.encodes else AutoModelForCausalLM
    read = kind.from_pretrained
    try:
        lm, told = read(
            folder.path,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if memory.out_of_memory(error):
            raise
        raise WeightsError(
            f"The weights in {folder.path} can't be read: they are damaged or another network's."
        ) from error
    if missing := sorted(told["missing_keys"]):
        raise WeightsError(f"{folder.path} lacks {len(missing)} tensors, {missing[0]} among them.")
    return lm


def _move(lm: nn.Module, beside: set[nn.Linear], device: torch.device, dtype: torch.dtype) -> None:
    """All but some layers to where they compute; what is one parameter in two places stays one."""
    moved: dict[int, nn.Parameter] = {}
    for part in lm.modules():
        for name, buffer in part.named_buffers(recurse=False):
            part._buffers[name] = buffer.to(device)
        for name, old in part.named_parameters(recurse=False) if part not in beside else ():
            if id(old) not in moved:
                moved[id(old)] = nn.Parameter(old.detach().to(device, dtype), requires_grad=False)
            setattr(part, name, moved[id(old)])
