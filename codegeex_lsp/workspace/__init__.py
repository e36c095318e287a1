"""What a window knows of the files around the open ones: search, snippets, neighbours; and which
are left out.

Knows the index's process and asks it; reads no file itself but ignore files; no LSP type.
"""

__all__ = ["exclusions", "index_client", "neighbours", "retrieval"]
