"""A published checkpoint becomes a model folder: `codegeex-runtime convert`.

Knows checkpoints and safe writing; nothing half-written ever looks whole, one tensor is in memory
at a time, and no code in a pickle runs.
"""

__all__ = ["checkpoint", "gguf", "hub_pickle"]
