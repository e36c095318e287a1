"""Text as token ids and back.

Knows vocabularies and byte-level BPE; no prompt, no network.
"""

__all__ = ["tokenizer", "vocabulary"]
