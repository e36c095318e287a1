"""The user's own texts as tokens, and what they say comes next.

Knows each window's texts, bounded and in memory alone; no network, no distribution.
"""

__all__ = ["mailbox", "memory", "recall"]
