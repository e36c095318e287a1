"""A published checkpoint becomes a model folder: `codegeex-runtime convert`.

Of CodeGeeX-13B sources.py reads the checkpoint and layout.py decides what goes where; hub_pickle.py
takes folders of the hub whose weights are pickles, gguf.py llama.cpp's files. target.py writes so
that nothing half-written ever looks whole. One tensor is in memory at a time. The command line
calls it, and so does `models` for a model that comes as pickles or GGUF.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TextIO

from model_runtime.conversion import hub_pickle
from model_runtime.conversion.layout import (
    Shard,
    network_config,
    plan_shards,
    scheme_named,
    stored_parts,
)
from model_runtime.conversion.progress import Progress
from model_runtime.conversion.sources import Source
from model_runtime.conversion.target import Fingerprint, fingerprint, new_folder, write_file
from model_runtime.errors import ConversionError
from model_runtime.folders import native
from model_runtime.folders.assembly import blank_network
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.prompts.rendering import PromptFormat
from model_runtime.text.tokenizer import CODEGEEX_13B as TOKENIZER_FOLDER

GGUF = ".gguf"


def convert(
    source: Path, target: Path, *, quantize: str, heads: int | None, messages: TextIO
) -> None:
    """Make the new folder `target` from the checkpoint `source`; progress goes to `messages`.

    `quantize` is a key of layout.SCHEMES; `heads` may be None where the hidden size tells. Raises
    ConversionError or WeightsError, each one sentence, and leaves no target then.
    """
    if source.suffix == GGUF or hub_pickle.is_hub_folder(source):
        if quantize != "none" or heads:
            raise ConversionError(
                "--quantize and --heads are for CodeGeeX-13B; of another model set quantize, which "
                "takes effect when it is loaded."
            )
        if source.suffix == GGUF:
            from model_runtime.conversion import gguf  # a package that the others need not have

            gguf.convert(source, target, messages)
        else:
            hub_pickle.convert(source, target, messages)
        return
    scheme = scheme_named(quantize)
    opened = Source(source)
    config = network_config(opened, heads)
    shards = plan_shards(blank_network(config).state_dict(), scheme)
    needed = sum(shard.size for shard in shards)
    with (
        new_folder(target, needed) as folder,
        Progress(messages, needed, len(shards)) as progress,
    ):
        if opened.wide:
            progress.note(f"{source} holds float32 numbers; they are rounded to float16.")
        files: dict[str, Fingerprint] = {}
        for shard in shards:
            files[shard.file] = _write_shard(folder, shard, opened, progress)
        for name in native.TOKENIZERS[native.CODEGEEX_13B]:
            shutil.copyfile(TOKENIZER_FOLDER / name, folder / name)
            files[name] = fingerprint(folder / name)
        write_file(folder / native.CONFIG_FILE, _description(target, config, files))


def _write_shard(folder: Path, shard: Shard, source: Source, progress: Progress) -> Fingerprint:
    with shard.create(folder) as file:
        for name, scheme in shard.tensors.items():
            for part in stored_parts(source.read(name), scheme).values():
                file.write(part)
                progress.wrote(part.nbytes)
    progress.finished(shard.file)
    return file.fingerprint


def _description(target: Path, config: CodeGeeXConfig, files: dict[str, Fingerprint]) -> bytes:
    fields = {
        "name": target.name,
        "prompt_format": PromptFormat.CODEGEEX,
        "tokenizer": native.CODEGEEX_13B,
        "network": {
            "hidden_size": config.hidden_size,
            "num_layers": config.num_layers,
            "num_attention_heads": config.num_attention_heads,
            "vocab_size": config.vocab_size,
            "max_position_embeddings": config.max_position_embeddings,
            "layernorm_epsilon": config.layernorm_epsilon,
        },
        "files": files,
    }
    return (json.dumps(fields, indent=2) + "\n").encode()
