"""The link to the runtime: start it, greet it, ask, cancel, tell it of documents, pull models.

Knows messages and processes; no document's meaning, no editor, no model.
"""

__all__ = ["client", "pull", "reasons", "remembering"]
