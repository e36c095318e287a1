"""What `models list` and `models show` say of a model: of the catalogue, or a folder that is used.

One dictionary a model, plain for JSON. It knows the disk and free memory, neither torch nor a
terminal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_runtime.device.system_memory import free_memory
from model_runtime.errors import RuntimeFailure
from model_runtime.folders import announcing, hub_folder
from model_runtime.folders.fit import PROGRAM_BYTES
from model_runtime.folders.forecast import forecast
from model_runtime.hub import cache, catalogue, soundness
from model_runtime.hub.catalogue import Ability, Model
from model_runtime.wire.configuration import TrustedSettings


def used_by(trusted: TrustedSettings) -> tuple[str, ...]:
    """The model that writes and the one that embeds, as the user's configuration has them."""
    return tuple(name for name in (trusted.model, trusted.embedding_model) if name)


def of_catalogue(model: Model, used: Collection[str]) -> dict[str, Any]:
    folder = cache.installed(model)
    state = "in part" if cache.partly_here(model) else ""
    if folder is not None:
        state = "used" if model.name in used else "installed"
    return _told(model, folder, state)


def of_folder(folder: Path, used: Collection[str]) -> dict[str, Any]:
    """Raises WeightsError and UnknownModelError for what is no model's folder."""
    state = "used" if str(folder) in used else "installed"
    return _told(_model(folder), folder, state)


def of_broken_folder(name: str, problem: RuntimeFailure) -> dict[str, Any]:
    """One that is used and can't be; the note says why."""
    model = Model(name, "", "", frozenset(), "", 0, "", 0, note=str(problem))
    return _told(model, None, "used")


def _model(folder: Path) -> Model:
    """As the catalogue would have it; its name is the folder."""
    if (found := hub_folder.find(str(folder))) is None:
        soundness.check(folder)
        told = announcing.announce(str(folder))
        made = Model(str(folder), "", "codegeex", frozenset(), "", told.context_tokens, "", 0)
        abilities = set(told.tasks)
    elif soundness.only_embeds(found.config):
        kind = str(found.config["model_type"])
        made = Model(str(folder), "", kind, frozenset(), "text", found.context, "", 0)
        abilities = {Ability.EMBED.value}
    else:
        family = found.family
        form, chat = "fill-in-the-middle" if family.controls else "plain", bool(found.chat_template)
        kind = str(found.config["model_type"])
        made = Model(str(folder), "", kind, frozenset(), form, found.context, "", 0, chat)
        abilities = {*family.tasks, *([Ability.INFILL.value] if family.controls else [])}
    known = frozenset(ability for ability in Ability if ability.value in abilities)
    return replace(made, abilities=known, parameters=soundness.parameters(folder))


def _told(model: Model, folder: Path | None, state: str) -> dict[str, Any]:
    fits, served_context = _fits(model)
    return {
        "name": model.name,
        "family": model.family,
        "state": state,
        "folder": str(folder) if folder else "",
        "abilities": [ability.value for ability in Ability if ability in model.abilities],
        "architecture": model.architecture,
        "format": model.format,
        "chat": model.chat,
        "context": model.context,
        "stops": model.stops,
        "stop_ids": model.stop_ids,
        "licence": model.licence,
        "note": model.note,
        "parameters": model.parameters,
        "sizes": model.sizes,
        "fits": fits,
        "served_context": served_context,
        "hub": model.hub,
        "revision": model.revision,
        "pickled": model.pickled,
    }


def _fits(model: Model) -> tuple[str | None, int]:
    """The largest precision that fits main memory now, and the tokens it would be served with; ""
    for none, None when nobody tells, and for a folder."""
    if model.name not in catalogue.models() or (free := free_memory()) is None:
        return None, 0
    found = forecast(model, free - PROGRAM_BYTES)
    return found.kept or "", found.context
