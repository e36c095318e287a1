"""A completion on the language server's side: text for the cursor, and how sure the model was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text to insert at the cursor, existing text untouched.

    `source` is what made it, "model". The log-probabilities are natural
    logarithms over the generated tokens, None where no model was asked.
    """

    text: str
    source: str
    mean_logprob: float | None = None
    min_logprob: float | None = None
