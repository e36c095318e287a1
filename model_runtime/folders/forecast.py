"""What the loader will say of a model of the catalogue, before a file of it is here. No torch.

`models list` and `show` print it. It holds for a CPU: what memory a GPU has can't be asked without
torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_runtime.folders import fit
from model_runtime.hub.catalogue import Ability, Model
from model_runtime.networks import known
from model_runtime.networks.kept import Precision

COMPUTES_IN = "float32"


@dataclass(frozen=True, slots=True)
class Forecast:
    """`kept` is the largest precision there is room for, None for no room or a model that can't be
    served; `context` are the tokens that it will then be served with."""

    kept: Precision | None = None
    context: int = 0


def forecast(model: Model, free: int) -> Forecast:
    """With `free` bytes of main memory when the weights are about to be read."""
    if model.abilities == {Ability.EMBED}:
        if fit.encoder_bytes(model.parameters, COMPUTES_IN) > free:
            return Forecast()
        return Forecast(Precision.FLOAT16, model.context)
    if not served(model):
        return Forecast()
    for kept in Precision:
        need = fit.need(known.shapes()[model.name], kept, COMPUTES_IN, on_cpu=True, free=free)
        if need.fits(free):
            return Forecast(kept, need.kv.context)
    return Forecast()


def served(model: Model) -> bool:
    """Whether the loader takes its kind of network at all."""
    return model.abilities == {Ability.EMBED} or model.name in known.shapes()
