"""How the next tokens are chosen and when an answer ends: sampling, beams, drafts, stops.

Knows logits, candidates and what the memory guesses; no network, no cache, no client.
"""

__all__ = [
    "beam",
    "continuation",
    "drafting",
    "mixing",
    "sampled",
    "sampling",
    "search",
    "stopping",
]
