"""From the name of a model to an engine ready to run, and the sentence when that fails.

The one door between the daemon, which starts in milliseconds, and torch, which takes seconds: it is
imported here, in the engine's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model_runtime import installing
from model_runtime.device.torch_plugins import keep_plugins_out, keep_unused_out
from model_runtime.engine.counters import Work
from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.errors import RuntimeFailure
from model_runtime.logs import LOG
from model_runtime.wire.protocol import Reply

if TYPE_CHECKING:
    from model_runtime.engine.engine import Engine


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
    from model_runtime.device import memory
    from model_runtime.device.choice import choose
    from model_runtime.engine.engine import Engine
    from model_runtime.folders import opening

    chosen = choose(device)
    LOG.info("device %s", chosen.reason)
    if chosen.place.type == "cpu":
        keep_unused_out()
    try:
        loaded = opening.load(model, chosen.place, chosen.dtype, quantize)
        engine = Engine(loaded, chosen, scheduler, emit, work)
        LOG.info("the KV cache has %s", engine.cache.description)
        engine.prove()
        memory.return_freed()
        return engine
    except BaseException as error:
        if not memory.out_of_memory(error):
            raise
    # Here the error is gone, and with it the frames that held what was loaded.
    plan = opening.plan(model, chosen.place, chosen.dtype, quantize)
    raise plan.ran_out(memory.free_bytes(chosen.place))


def why_not_loaded(error: BaseException) -> str:
    """One sentence for the user."""
    if isinstance(error, RuntimeFailure):
        return str(error)
    if isinstance(error, ImportError):
        name = error.name or "PyTorch"
        return f"Local models need {name}, which isn't installed; run: {installing.part('local')}"
    return f"Loading the model failed with {type(error).__name__}; the runtime's log says where."


def why_it_ended(error: BaseException) -> str:
    """One sentence for the user, of a thread that can't go on."""
    if isinstance(error, RuntimeFailure):
        return str(error)
    return f"The runtime failed with {type(error).__name__} and starts anew; its log says where."
