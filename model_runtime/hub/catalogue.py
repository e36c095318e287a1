"""The known models: what each can do, how its prompt is written, its licence and its size.

Reads catalogue.toml, which is meant to be read by people too. It knows neither a tokenizer nor the
disk; cache.py knows what is installed, download.py fetches.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from model_runtime.errors import UnknownModelError

DATA = Path(__file__).with_name("catalogue.toml")

# Bytes a parameter takes. INT8 has a float32 scale for each row of a matrix, of which there is one
# in some thousand parameters; INT4 a bfloat16 scale and zero point for each group of 64.
BYTES_PER_PARAMETER = {"float16": 2.0, "int8": 1.0, "int4": 0.5 + 4 / 64}


class Ability(StrEnum):
    """What a model can be asked for; catalogue.toml says what each one means."""

    COMPLETE = "complete"
    INFILL = "infill"
    GENERATE = "generate"
    TRANSLATE = "translate"
    EXPLAIN = "explain"
    DOCSTRING = "docstring"
    SUMMARISE = "summarise"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Package:
    """`size` is the wheel's in bytes; `member` is the path of the model's file in it."""

    name: str
    version: str
    size: int
    sha256: str
    member: str
    member_sha256: str


@dataclass(frozen=True, slots=True)
class Model:
    """One line of the catalogue, with what its family says; catalogue.toml explains the fields.

    `parameters` is their number. A model with neither `hub` nor `package` can't be fetched.
    `pickled` says that its publisher has the weights as pickles alone; what the hub has counts.
    """

    name: str
    family: str
    architecture: str
    abilities: frozenset[Ability]
    format: str
    context: int
    licence: str
    parameters: int
    chat: bool = False
    stops: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    hub: str = ""
    package: Package | None = None
    revision: str = ""
    note: str = ""
    pickled: bool = False
    embedded: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of the weights by precision, computed from the parameters."""
        return {name: int(self.parameters * size) for name, size in BYTES_PER_PARAMETER.items()}


@functools.cache
def models() -> dict[str, Model]:
    """All of them by name, in the order of the file."""
    families = tomllib.loads(DATA.read_text(encoding="utf-8"))
    known: dict[str, Model] = {}
    for family, fields in families.items():
        lines = fields.pop("models")
        for line in lines:
            model = _model(family, fields | line)
            known[model.name] = model
    return known


def find(name: str) -> Model:
    """The model of that name, whatever its case. Raises UnknownModelError."""
    if (model := models().get(name.lower())) is None:
        raise UnknownModelError(f'There is no model "{name[:80]}"{_nearest(name)}')
    return model


def able(ability: Ability) -> list[Model]:
    """The models that can be asked for it, smallest first."""
    found = [model for model in models().values() if ability in model.abilities]
    return sorted(found, key=lambda model: model.parameters)


def _model(family: str, fields: Mapping[str, Any]) -> Model:
    return Model(
        **{
            **fields,
            "family": family,
            "abilities": frozenset(map(Ability, fields["abilities"])),
            "parameters": round(fields["parameters"] * 1e9),
            "stops": tuple(fields.get("stops", ())),
            "stop_ids": tuple(fields.get("stop_ids", ())),
            "package": Package(**told) if (told := fields.get("package")) else None,
        }
    )


def _nearest(name: str) -> str:
    """The end of the sentence: names that are spelled alike, else where all of them are."""
    near = difflib.get_close_matches(name.lower(), models(), n=3, cutoff=0.5)
    if not near:
        return "; see codegeex-lsp models list."
    return f"; did you mean {' or '.join(near)}?"
