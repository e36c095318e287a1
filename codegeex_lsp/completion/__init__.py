"""One inline completion from snapshot to answer, or the reason why there is none.

completer.py has the steps in order; the rest are pure functions of texts. No LSP type.
"""

__all__ = ["candidates", "completer", "context", "suggestion"]
