"""The process that all windows share: lock, socket, clients, idle exit.

Knows who is connected and what they asked for; no torch, no prompt, no editor.
"""

__all__ = ["daemon"]
