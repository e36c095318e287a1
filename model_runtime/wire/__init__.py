"""What server and runtime say to each other, and where they meet. The server imports this room of
the runtime and no other.

Knows messages, bytes and sockets; no model, no editor, no torch.
"""

__all__ = ["client", "endpoint", "protocol"]
