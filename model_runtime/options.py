"""The choices a runtime is started with, and the model that comes along. No torch, no IO."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

DEFAULT_MODEL = "codegeex-nano"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"


class Device(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    NPU = "npu"


class Quantize(StrEnum):
    """How a model that is stored in float is kept in memory; "" is as it is stored."""

    NONE = ""
    INT8 = "int8"
    INT4 = "int4"
    NF4 = "nf4"
    LLM_INT8 = "llm.int8"


DEVICES = tuple(one.value for one in Device)
QUANTIZATIONS = tuple(one.value for one in Quantize)


def is_path(model: str) -> bool:
    """Whether a model's name can only mean a folder."""
    return model.startswith(("~", ".")) or os.sep in model or "/" in model
