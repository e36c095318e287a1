"""The peer: transformers, eager, with a GPT-2 of the same dimensions and random weights.

The top query layer is one more block there, so the work a token is the same. Its cache is filled
with zeros, as ours is.
"""

from __future__ import annotations

import torch

from model_runtime.bench.speed import PREFILL, STEPS, Speed, contexts_of, typical
from model_runtime.device.kinds import Device
from model_runtime.networks.codegeex import CodeGeeXConfig


def measure(config: CodeGeeXConfig, device: Device) -> Speed:
    from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

    shape = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_position_embeddings + STEPS + 1,
        n_embd=config.hidden_size,
        n_layer=config.num_layers + 1,
        n_head=config.num_attention_heads,
        bos_token_id=0,
        eos_token_id=0,
    )
    shape._attn_implementation = "eager"
    with torch.device("meta"):
        network: torch.nn.Module = GPT2LMHeadModel(shape)
    network.to(device.dtype).to_empty(device=device.place).eval()
    network.tie_weights()  # type: ignore[operator]
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            tensor.detach().uniform_(-0.02, 0.02)

    def filled(length: int) -> DynamicCache:
        cache = DynamicCache(config=shape)
        size = (1, config.num_attention_heads, length, config.head_dim)
        zeros = torch.zeros(size, dtype=device.dtype, device=device.place)
        for layer in range(config.num_layers + 1):
            cache.update(zeros.clone(), zeros.clone(), layer)
        return cache

    def decode(context: int) -> float:
        cache = filled(context - 1)
        token = torch.zeros((1, 1), dtype=torch.int64, device=device.place)
        return typical(lambda: network(token, cache, use_cache=True), device)

    length = min(PREFILL, config.max_position_embeddings)
    prompt = torch.zeros((1, length), dtype=torch.int64, device=device.place)
    contexts = contexts_of(config)
    weights = sum(parameter.nbytes for parameter in network.parameters())
    positions = network.get_parameter("transformer.wpe.weight").nbytes
    return Speed(
        f"transformers, {str(device.dtype).removeprefix('torch.')}, eager",
        contexts,
        tuple(decode(context) for context in contexts),
        read=weights - positions,
        weights=weights,
        cache=2 * positions * (config.num_layers + 1),
        kernel="torch",
        prefill=typical(lambda: network(prompt, use_cache=True, logits_to_keep=1), device, 1),
    )
