"""The same network size by llama.cpp: a GPT-2 with random weights, its matrices in Q8_0.

Optional: `.venv/bin/pip install '.[peers]'` compiles it for this machine, in ten minutes on two
cores. speed_peers.py asks available() first.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from model_runtime.networks.codegeex import CodeGeeXConfig

Floats = npt.NDArray[np.float32]


def available() -> bool:
    return all(importlib.util.find_spec(name) for name in ("llama_cpp", "gguf"))


def llama_cpp_alone(config: CodeGeeXConfig, length: int) -> Callable[[int], None]:
    """Runs a prompt of `length` tokens and generates as many as it is told, greedily.

    With as many threads as torch has; a prompt is one batch.
    """
    import llama_cpp as library

    silent = library.llama_log_callback(lambda level, text, data: None)
    library.llama_log_set(silent, None)
    library.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpt2.gguf"
        _write(path, config)
        model = library.llama_model_load_from_file(
            str(path).encode(), library.llama_model_default_params()
        )
    settings = library.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = config.max_position_embeddings
    settings.n_threads = settings.n_threads_batch = torch.get_num_threads()
    context = library.llama_init_from_model(model, settings)
    prompt = np.random.default_rng(0).integers(100, config.vocab_size - 100, length)

    def run(ids: npt.NDArray[np.int64]) -> int:
        tokens = (library.llama_token * len(ids))(*ids.tolist())
        assert library.llama_decode(context, library.llama_batch_get_one(tokens, len(ids))) == 0
        logits = library.llama_get_logits_ith(context, -1)
        return int(np.ctypeslib.as_array(logits, (config.vocab_size,)).argmax())

    def generate(tokens: int) -> None:
        assert silent  # called for as long as the model lives
        library.llama_memory_clear(library.llama_get_memory(context), True)
        token = run(prompt)
        for _ in range(tokens - 1):
            token = run(np.array([token]))

    return generate


def _write(path: Path, config: CodeGeeXConfig) -> None:
    import gguf

    size, words = config.hidden_size, config.vocab_size
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(size)
    writer.add_feed_forward_length(4 * size)
    writer.add_block_count(config.kv_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layernorm_epsilon)
    writer.add_vocab_size(words)
    writer.add_tokenizer_model("no_vocab")
    random = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = random.normal(0, 0.02, (rows, columns)).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def vector(name: str, values: Floats) -> None:
        writer.add_tensor(name, values.astype(np.float32))

    def norm(name: str) -> None:
        vector(f"{name}.weight", np.ones(size))
        vector(f"{name}.bias", np.zeros(size))

    matrix("token_embd.weight", words, size)
    vector("position_embd.weight", random.normal(0, 0.02, (config.max_position_embeddings, size)))
    for layer in range(config.kv_layers):
        for part, rows, columns in (
            ("attn_qkv", 3 * size, size),
            ("attn_output", size, size),
            ("ffn_up", 4 * size, size),
            ("ffn_down", size, 4 * size),
        ):
            matrix(f"blk.{layer}.{part}.weight", rows, columns)
            vector(f"blk.{layer}.{part}.bias", np.zeros(rows))
        norm(f"blk.{layer}.attn_norm")
        norm(f"blk.{layer}.ffn_norm")
    norm("output_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
