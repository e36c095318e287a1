"""What computes logits: the networks, their KV cache, their quantized matrices and kernels.

network.py says what the engine asks of all of them. Knows tensors; no text, no file, no client.
"""

__all__ = [
    "bitsandbytes_linear",
    "codegeex",
    "encoder_decoder",
    "graphs",
    "kept",
    "kernels",
    "known",
    "kv_cache",
    "kv_size",
    "kv_storage",
    "linear",
    "network",
    "onnx_codegeex",
    "onnx_trial",
    "quantization",
    "transformers_lm",
]
