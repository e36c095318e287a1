"""Can a model be used? All of it is tried but the weights' numbers: files, network, tokenizer.

Takes seconds for a model of any size and no memory to speak of, so that it can be asked before a
model is chosen, while another is being served. `models try` calls it; imports torch.
"""

from __future__ import annotations

import torch

from model_runtime.folders import hub_folder, native
from model_runtime.hub import soundness


def try_out(name: str, quantize: str) -> None:
    """With the setting `quantize`. Raises WeightsError, UnknownModelError and HubError."""
    place, dtype = torch.device("cpu"), torch.float32
    if (found := hub_folder.find(name)) is None:
        folder = native.folder_of(name)
        native.examine(folder)
        soundness.check(folder)
        native.plan(folder, place, dtype, quantize)
    elif soundness.only_embeds(found.config):
        from model_runtime.folders import text_encoder

        text_encoder.blank(found.config)
    else:
        from model_runtime.folders import hub_network  # transformers takes seconds to be imported

        hub_network.examine(found)
        hub_network.plan(found, place, dtype, quantize)
