"""What server and runtime say to each other, where they meet, and what the user told both. The
server imports this room of the runtime and no other.

Knows messages, bytes, sockets and the user's configuration; no model, no editor, no torch.
"""

__all__ = ["client", "configuration", "endpoint", "protocol", "settings_table"]
