"""The published code's outputs on a tiny random model, whatever shape and prompts the set has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig

PARTS = {"h_to_4h": "mlp.dense_h_to_4h", "4h_to_h": "mlp.dense_4h_to_h"}


class GoldenModel:
    """`model/` of the golden vectors: the network and what the published code computes with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        shape = self.about["config"]
        self.config = CodeGeeXConfig(
            hidden_size=shape["hidden_size"],
            num_layers=shape["num_layers"],
            num_attention_heads=shape["num_attention_heads"],
            vocab_size=shape["padded_vocab_size"],
            max_position_embeddings=shape["max_position_embeddings"],
            layernorm_epsilon=shape["layernorm_epsilon"],
        )
        self.checkpoint = folder / "codegeex_tiny.pt"

    def vectors(self, name: str) -> dict[str, Tensor]:
        found: dict[str, Tensor] = load_file(self.folder / f"{name}.safetensors")
        return found

    def rules(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / f"{name}.json").read_text())
        assert found
        return found

    def tensors(self) -> dict[str, Tensor]:
        """The checkpoint in float16, under the network's names."""
        nested = torch.load(self.checkpoint, weights_only=True)
        return dict(_flattened(nested["module"]["language_model"]))

    def network(self) -> CodeGeeX:
        """In float32, from its own checkpoint layout."""
        network = CodeGeeX(self.config)
        network.load_state_dict(self.tensors())
        return network.eval()


def prompts(vectors: Mapping[str, Tensor]) -> list[str]:
    """The cases that have token ids."""
    end = ".input_ids"
    found = [name.removesuffix(end) for name in sorted(vectors) if name.endswith(end)]
    assert found
    return found


def longest(vectors: Mapping[str, Tensor]) -> str:
    return max(prompts(vectors), key=lambda name: vectors[f"{name}.input_ids"].shape[-1])


def matrices(vectors: Mapping[str, Tensor]) -> dict[str, str | None]:
    """The quantized matrices and their names in the network; the made-up one has none."""
    end = ".weight_fp16"
    return {
        name.removesuffix(end): _in_the_network(name.removesuffix(end))
        for name in sorted(vectors)
        if name.endswith(end)
    }


def _in_the_network(name: str) -> str | None:
    block, _, part = name.partition(".")
    if not part:
        return None
    place = "topQueryLayer" if block == "top" else re.sub(r"layer(\d+)", r"layers.\1", block)
    return f"transformer.{place}.{PARTS.get(part, f'attention.{part}')}"


def _flattened(nested: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in nested.items():
        if isinstance(value, Tensor):
            yield path + name, value
        else:
            yield from _flattened(value, f"{path}{name}.")
