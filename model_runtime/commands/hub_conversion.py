"""A fetched model whose weights are pickles becomes one that can be used, beside the hub's cache.

The conversion is that of `codegeex-runtime convert`, and nobody else reads a pickle. Importing it
takes torch, which fetching does without; models.py calls it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from model_runtime.conversion import hub_pickle
from model_runtime.errors import HubError
from model_runtime.hub import cache, soundness
from model_runtime.hub.catalogue import Model
from model_runtime.hub.download import Plan


def check(model: Model) -> None:
    """Before gigabytes are fetched. Raises HubError for a network that nobody here knows."""
    if not hub_pickle.takes(model.architecture):
        raise HubError(
            f"{model.name} is published as pickles and as a network of its own Python code, which "
            "is never run; see codegeex-lsp models list for others."
        )


def converted(plan: Plan, fetched: Path, messages: TextIO) -> Path:
    """The folder of safetensors, made unless it is there. Raises RuntimeFailure."""
    target = cache.converted_folder(plan.model) / plan.commit
    if soundness.lacking(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HubError(
                f"{target.parent} can't be written: {error.strerror}; set CODEGEEX_CACHE_DIR to "
                "another folder."
            ) from error
        hub_pickle.convert(fetched, target, messages)
    return target
