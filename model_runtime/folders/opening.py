"""From a model's name to a network ready to run: whose folder it is, and who reads such folders.

The engine and `check` call it. Imports torch; announcing.py says what can be said without.
"""

from __future__ import annotations

import torch

from model_runtime.folders import hub_folder, native
from model_runtime.folders.loaded import LoadedModel, MemoryPlan


def load(name: str, device: torch.device, dtype: torch.dtype, quantize: str = "") -> LoadedModel:
    """A model of the catalogue by its name, or a model folder by its path.

    Raises WeightsError and FitError.
    """
    if (found := hub_folder.find(name)) is not None:
        from model_runtime.folders import hub_network  # transformers takes seconds to be imported

        return hub_network.load(found, device, dtype, quantize)
    return native.load(native.folder_of(name), device, dtype, quantize)


def plan(name: str, device: torch.device, dtype: torch.dtype, quantize: str = "") -> MemoryPlan:
    """How it would be kept and what that takes; its weights are not read. Raises WeightsError."""
    if (found := hub_folder.find(name)) is not None:
        from model_runtime.folders import hub_network

        return hub_network.plan(found, device, dtype, quantize)
    return native.plan(native.folder_of(name), device, dtype, quantize)
