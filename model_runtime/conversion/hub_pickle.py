"""A folder of the hub whose weights are pickles becomes one with safetensors.

Names, shapes and types stay as they are, so that it is the same model to everybody; what the
network ties to another tensor is left out, as transformers leaves it out. A pickle is mapped and
read with weights_only: no code in it runs. conversion.convert calls it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from torch import Tensor, nn
from transformers import CONFIG_MAPPING

from model_runtime.conversion.progress import Progress
from model_runtime.conversion.sources import OPEN_FOR_BYTES, torch_tensors
from model_runtime.conversion.target import (
    SAFETENSORS_DTYPES,
    HashedFile,
    new_folder,
    safetensors_header,
    write_file,
)
from model_runtime.errors import ConversionError, WeightsError
from model_runtime.folders import hub_network, text_encoder
from model_runtime.folders.hub_folder import CONFIG, TOKENIZER, HubFolder
from model_runtime.hub import cache, soundness
from model_runtime.reading import model_json

PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"


def is_hub_folder(path: Path) -> bool:
    """Whether a config.json says which of transformers' networks it is."""
    try:
        return "model_type" in model_json(path / CONFIG, {})
    except WeightsError:
        return False


def takes(architecture: str) -> bool:
    """Whether there is a network for it here, or in transformers."""
    return architecture in CONFIG_MAPPING or architecture == soundness.PROJECTED


def convert(source: Path, target: Path, messages: TextIO) -> None:
    """Raises ConversionError or WeightsError, and leaves no target then."""
    if not soundness.lacking(source):
        raise ConversionError(f"{source} has safetensors already: codegeex-lsp models use {source}")
    network = _network(source)
    tokenizers = (TOKENIZER, *soundness.TOKENIZER_PARTS)
    if not any((source / name).exists() for name in tokenizers):
        raise ConversionError(f"{source} has no tokenizer; get the model with one.")
    files = [source / name for name in _pickles(source)]
    shards = {_named(n, len(files)): file for n, file in enumerate(files, 1)}
    kept = _kept(source, network, {file: torch_tensors(file) for file in files})
    size = sum(tensor.nbytes for tensors in kept.values() for tensor in tensors.values())
    with new_folder(target, size) as folder, Progress(messages, size, len(files)) as progress:
        for name, file in shards.items():
            _write(folder / name, file, kept[file], progress)
        if len(shards) > 1:
            places = {tensor: name for name, file in shards.items() for tensor in kept[file]}
            index = {"metadata": {"total_size": size}, "weight_map": places}
            write_file(folder / soundness.INDEX, json.dumps(index, indent=2).encode())
        for path in source.iterdir():
            if cache.belongs(path.name) and path.name not in (CONFIG, PICKLE_INDEX):
                shutil.copyfile(path, folder / path.name)
        if not (folder / TOKENIZER).exists():
            _write_tokenizer(source, folder / TOKENIZER)
        write_file(folder / CONFIG, (source / CONFIG).read_bytes())


def _network(source: Path) -> nn.Module:
    """Without storage. Raises WeightsError for a network that can't be served."""
    config = model_json(source / CONFIG)
    if soundness.only_embeds(config):
        return text_encoder.blank(config)
    return hub_network.blank(HubFolder(source.absolute(), None, config))


def _pickles(source: Path) -> list[str]:
    """The files, in order. Raises ConversionError for what is missing."""
    index = source / PICKLE_INDEX
    if not index.exists():
        names = [PICKLE]
    else:
        try:
            told = model_json(index)["weight_map"]
            names = sorted({Path(name).name for name in told.values()})
        except (WeightsError, KeyError, TypeError, AttributeError) as error:
            raise ConversionError(f"{index} can't be understood; get the model anew.") from error
    for name in names:
        if not (source / name).exists():
            raise ConversionError(f"{source} lacks {name}; get the model with all its files.")
    return names


def _kept(
    source: Path, network: nn.Module, found: Mapping[Path, Mapping[str, Tensor]]
) -> dict[Path, dict[str, Tensor]]:
    """What of each file is written, on the meta device: all numbers but those that are tied.

    Old checkpoints hold masks, too, which no network reads. Raises ConversionError when the tensors
    aren't those of `network`.
    """
    tied: Mapping[str, str] = getattr(network, "all_tied_weights_keys", {})
    kept: dict[Path, dict[str, Tensor]] = {}
    have: dict[str, Tensor] = {name: one for file in found.values() for name, one in file.items()}
    for file, tensors in found.items():
        kept[file] = {
            name: tensor.to("meta")
            for name, tensor in tensors.items()
            if tensor.dtype in SAFETENSORS_DTYPES
            and tensor.is_floating_point()
            and tied.get(name) not in have
        }
    wanted = {name: one for name, one in network.state_dict().items() if tied.get(name) not in have}
    if missing := sorted(wanted.keys() - have.keys()):
        raise ConversionError(
            f"{source} lacks {len(missing)} tensors, {missing[0]} among them: its pickles are "
            "another network's or not all of them."
        )
    for name, one in wanted.items():
        if have[name].shape != one.shape:
            raise ConversionError(
                f"{name} in {source} is {list(have[name].shape)} and should be {list(one.shape)}: "
                f"{CONFIG} is another network's."
            )
    return kept


def _write(path: Path, source: Path, tensors: Mapping[str, Tensor], progress: Progress) -> None:
    """One file of safetensors; pages that were read are let go by opening the pickle anew."""
    with HashedFile(path, safetensors_header(tensors)) as file:
        mapped, read = torch_tensors(source), 0
        for name, shape in tensors.items():
            if read > OPEN_FOR_BYTES:
                mapped, read = torch_tensors(source), 0
            file.write(mapped[name].contiguous())
            progress.wrote(shape.nbytes)
            read += shape.nbytes
    progress.finished(path.name)


def _write_tokenizer(source: Path, path: Path) -> None:
    """From the older files that some repositories have alone, as transformers reads them."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=True, trust_remote_code=False
        )
        tokenizer.backend_tokenizer.save(str(path))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"The tokenizer of {source} can't be used: {type(error).__name__}; get the model with "
            f"a {TOKENIZER}."
        ) from error


def _named(number: int, count: int) -> str:
    if count == 1:
        return soundness.WEIGHTS
    return f"model-{number:05}-of-{count:05}.safetensors"
