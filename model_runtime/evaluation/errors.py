"""What can be wrong before anything is executed; str() is one sentence for the user."""

from __future__ import annotations


class EvaluationError(Exception):
    """The evaluation can't be done as asked. Exit code 2."""
