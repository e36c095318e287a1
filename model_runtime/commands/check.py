"""`codegeex-runtime check`: can this machine run the model? One finding a line, with advice.

Loads the model for real, in a process of its own, so `codegeex-lsp doctor` may ask for it without
importing torch. It serves nobody.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass

from model_runtime import installing
from model_runtime.device.system_memory import free_memory
from model_runtime.device.torch_plugins import keep_plugins_out
from model_runtime.engine.loading import why_not_loaded
from model_runtime.errors import RuntimeFailure
from model_runtime.hub import cache, soundness
from model_runtime.reading import model_json

PACKAGES = ("torch", "tokenizers", "safetensors")
# torch with the embedded model holds 320 MiB; below twice that the machine starts to swap.
WANTED_MEMORY_BYTES = 640 * 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` is empty when all is well."""

    name: str
    found: str
    advice: str = ""


def check(model: str, device: str, quantize: str = "") -> Iterator[Finding]:
    """The findings, in the order in which one needs the other; ends at a missing package."""
    missing = False
    for package in PACKAGES:
        finding = _package(package)
        missing = missing or bool(finding.advice)
        yield finding
    yield _memory()
    if not missing:
        yield from _device_and_model(model, device, quantize)


def embedding(model: str) -> Finding:
    """The second model, that of search; all of it is tried but its weights' numbers."""
    try:
        folder = cache.folder_of(model)
        soundness.check(folder)
        embeds = soundness.only_embeds(model_json(folder / soundness.CONFIG))
    except RuntimeFailure as error:
        return Finding("embedding", model, str(error))
    advice = "" if embeds else "it makes no vectors; use one that does: codet5p-110m-embedding"
    return Finding("embedding", model, advice)


def _package(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", f"run: {installing.part('local')}")


def _memory() -> Finding:
    free = free_memory()
    if free is None:
        return Finding("memory", "not known on this system")
    advice = "close other programs" if free < WANTED_MEMORY_BYTES else ""
    return Finding("memory", f"{free / 2**30:.1f} GiB free", advice)


def _device_and_model(model: str, device: str, quantize: str) -> Iterator[Finding]:
    keep_plugins_out()
    try:
        from model_runtime.device import memory
        from model_runtime.device.choice import choose
        from model_runtime.folders import opening

        chosen = choose(device)
    except (RuntimeFailure, ImportError, OSError) as error:
        yield Finding("device", "none", str(error))
        return
    yield Finding("device", chosen.reason)
    free = memory.free_bytes(chosen.place)
    try:
        plan = opening.plan(model, chosen.place, chosen.dtype, quantize)
    except RuntimeFailure as error:
        yield Finding("model", model, str(error))
        return
    try:
        loaded = opening.load(model, chosen.place, chosen.dtype, quantize)
    except Exception as error:  # the same sentences that a runtime fails with
        if memory.out_of_memory(error):
            error = plan.ran_out(memory.free_bytes(chosen.place))
        yield Finding("model", model, why_not_loaded(error))
        return
    parameters = loaded.config.linear_parameters + loaded.config.other_parameters
    found = f"{loaded.name}, {parameters / 1e6:.1f} M parameters, files verified"
    yield Finding("model", found, loaded.format.spoiled)
    need = plan.needs(free)[plan.kept]
    told = f"needs {need.total / 2**30:.1f} GiB in {plan.kept} with {need.kv.context} tokens"
    yield Finding("fit", f"{told}, {_told(free)}")


def _told(size: int | None) -> str:
    return "free memory not known" if size is None else f"{size / 2**30:.1f} GiB free"
