"""From the name of a model to an engine ready to run, and the sentence when that fails.

The one door between the daemon, which starts in milliseconds, and torch, which takes seconds: it is
imported here, in the engine's thread.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_runtime import copying, hub_folder, installing
from model_runtime.counters import Work
from model_runtime.errors import RuntimeFailure
from model_runtime.logs import LOG
from model_runtime.prompts import PromptFormat
from model_runtime.protocol import Reply, Task
from model_runtime.scheduler import Job, Scheduler

if TYPE_CHECKING:
    from model_runtime.engine import Engine

DEFAULT_MODEL = "codegeex-nano"
DEVICES = ("auto", "cpu", "cuda", "npu")
# How a model stored in float can be kept in memory; "" is as it is stored.
QUANTIZATIONS = ("", "int8", "int4", "nf4", "llm.int8")
EMBEDDED_CONFIG = Path(__file__).parent / "embedded" / "config.json"
CHARS_PER_TOKEN = 4
USUAL_CONTEXT_CHARS = 8192


def load_engine(
    model: str,
    device: str,
    quantize: str,
    scheduler: Scheduler,
    emit: Callable[[Job, Reply], None],
    work: Work,
) -> Engine:
    """An engine that has run its first token. Raises RuntimeFailure, ImportError."""
    keep_plugins_out()
    from model_runtime import fit, weights
    from model_runtime.device import choose
    from model_runtime.engine import Engine

    chosen = choose(device)
    LOG.info("device %s", chosen.reason)
    try:
        loaded = weights.load(model, chosen.place, chosen.dtype, quantize)
        engine = Engine(loaded, chosen, scheduler, emit, work)
        engine.warm_up()
        return engine
    except Exception as error:
        if not fit.out_of_memory(error):
            raise
    # Here the error is gone, and with it the frames that held what was loaded.
    plan = weights.plan(model, chosen.place, chosen.dtype, quantize)
    raise plan.ran_out(fit.free_bytes(chosen.place))


def keep_plugins_out() -> None:
    """Before torch is imported, which otherwise imports every device plugin that is installed: a
    torch_npu without its CANN libraries makes that fail. device/npu.py imports it when wanted."""
    os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"


def why_not_loaded(error: Exception) -> str:
    """One sentence for the user."""
    if isinstance(error, RuntimeFailure):
        return str(error)
    if isinstance(error, ImportError):
        name = error.name or "PyTorch"
        return f"Local models need {name}, which isn't installed; run: {installing.part('local')}"
    return f"Loading the model failed with {type(error).__name__}; the runtime's log says where."


@dataclass(frozen=True, slots=True)
class Announcement:
    """What protocol.Welcome tells of a model."""

    context_chars: int = USUAL_CONTEXT_CHARS
    minimum_confidence: float = 0.0
    tasks: tuple[str, ...] = (Task.COMPLETE,)
    context_tokens: int = USUAL_CONTEXT_CHARS // CHARS_PER_TOKEN


def announce(model: str) -> Announcement:
    """Read from the model's description alone: a client is welcomed before the model is loaded.

    As much text is worth sending as fits the context, or more to search for copies in.
    """
    try:
        if (found := hub_folder.find(model)) is not None:
            told = found.context * CHARS_PER_TOKEN
            return Announcement(told, tasks=found.family.tasks, context_tokens=found.context)
        path = (
            EMBEDDED_CONFIG if model == DEFAULT_MODEL else Path(model).expanduser() / "config.json"
        )
        description = json.loads(path.read_text(encoding="utf-8"))
        tokens = int(description["network"]["max_position_embeddings"])
        context = tokens * CHARS_PER_TOKEN
        if description["copies_first"] or "trust" in description:
            context = max(context, copying.MAX_BEFORE + copying.MAX_AFTER)
        return Announcement(
            context,
            float(description.get("minimum_confidence", 0.0)),
            PromptFormat(description["prompt_format"]).tasks,
            tokens,
        )
    except (RuntimeFailure, OSError, ValueError, KeyError, TypeError, AttributeError):
        return Announcement()  # loading will say what is wrong with it
