"""Documents as editors have them: snapshots, positions, languages, notebooks, file URIs.

Knows characters and lines; no LSP type, no runtime, no IO.
"""

__all__ = ["documents", "file_uris", "languages", "noise", "notebooks"]
