"""The model that the local hub has."""

from __future__ import annotations

import json
import random

MODEL = "qwen2.5-coder-0.5b"
HUB_ID = "Qwen/Qwen2.5-Coder-0.5B"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def model_files() -> dict[str, bytes]:
    """A model in two shards of 3 MB, beside what must not come: pickles and subfolders."""
    random_bytes = random.Random(1).randbytes
    weights = {name: random_bytes(3_000_000) for name in SHARDS}
    index = {"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}
    return {
        "config.json": b'{"model_type": "qwen2"}',
        "tokenizer.json": b'{"model": {}, "padding": "' + b"." * 5000 + b'"}',
        "merges.txt": b"a b\n",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "LICENSE": b"Apache License",
        "README.md": b"# A model",
        "modeling.py": b"raise SystemExit('never run')",
        "pytorch_model.bin": b"pickle" * 1000,
        "onnx/config.json": b"{}",
        **weights,
    }
