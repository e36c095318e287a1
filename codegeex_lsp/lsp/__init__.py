"""LSP on pygls, hardened: bytes, JSON-RPC's rules, document sync, our positions and theirs.

Knows the protocol; no completion, no action, no runtime. Every request gets exactly one reply.
"""

__all__ = ["convert", "errors", "server", "structuring", "transport"]
