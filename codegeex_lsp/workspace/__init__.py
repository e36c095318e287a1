"""What a window knows of the files around the open ones: search, snippets, neighbours.

Knows the index's process and asks it; reads no file itself, no LSP type.
"""

__all__ = ["index_client", "neighbours", "retrieval"]
