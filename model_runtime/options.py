"""The choices a runtime is started with, and the model that comes along. No torch, no IO."""

from __future__ import annotations

from pathlib import Path

DEFAULT_MODEL = "codegeex-nano"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
DEVICES = ("auto", "cpu", "cuda", "npu")
# How a model stored in float can be kept in memory; "" is as it is stored.
QUANTIZATIONS = ("", "int8", "int4", "nf4", "llm.int8")
