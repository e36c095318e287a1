"""Settings and logs: what people choose, and what is written down.

Knows the user's own files; no document, no runtime, and never user text.
"""

__all__ = ["config_file", "logs", "settings"]
