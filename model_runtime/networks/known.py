"""The shapes of the catalogue's networks, known before a file of them is here. No torch."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path

from model_runtime.networks.kv_size import NetworkShape

DATA = Path(__file__).with_name("known.toml")


@functools.cache
def shapes() -> Mapping[str, NetworkShape]:
    """By the name of the model; those that can't be served as a completion are not among them."""
    lines = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return {name: NetworkShape(*numbers) for name, numbers in lines.items()}
