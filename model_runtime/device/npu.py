"""Huawei's Ascend NPUs, by way of torch_npu. Never run on the hardware.

torch_npu is a plugin of one PyTorch version and needs the CANN libraries, which a script puts on
the library path of a shell; most failures are one of these two. Nothing but this file imports it,
and only when the device is wanted or nothing better was found.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from dataclasses import dataclass

import torch

from model_runtime import installing
from model_runtime.device.kinds import Device, Unusable

SOURCE = "source /usr/local/Ascend/ascend-toolkit/set_env.sh"
# What torch_npu 2.13.0 is linked to. libascend_hal comes with the driver, the others with CANN.
CANN_LIBRARIES = (
    "libhccl",
    "libascendcl",
    "libacl_op_compiler",
    "libge_runner",
    "libgraph",
    "libacl_tdt_channel",
)
DRIVER_LIBRARY = "libascend_hal"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is installed and what torch_npu tells.

    `plugin` is torch_npu's version, empty when it isn't installed; `error` is what importing it
    said; `cards` counts the devices and `card` is the first one's name.
    """

    torch: str
    plugin: str = ""
    error: str = ""
    cards: int = 0
    card: str = ""


def ask() -> Facts:
    """Imports torch_npu when it is installed and made for this PyTorch."""
    version = torch.__version__
    try:
        plugin = importlib.metadata.version("torch_npu")
    except importlib.metadata.PackageNotFoundError:
        return Facts(version)
    if _release(plugin) != _release(version):
        return Facts(version, plugin)
    try:
        importlib.import_module("torch_npu")
        module = torch.get_device_module("npu")
        cards = module.device_count() if module.is_available() else 0
        return Facts(version, plugin, "", cards, module.get_device_name(0) if cards else "")
    except Exception as error:  # a plugin can fail in any way, and each is a sentence
        return Facts(version, plugin, str(error) or type(error).__name__)


def judge(facts: Facts) -> Device | Unusable:
    """float16: every generation of the cards has it, and the weights are published in it."""
    if not facts.plugin:
        return Unusable(
            "The device npu was asked for, but torch_npu isn't installed; use cpu, or "
            f"run: {_install(facts.torch)}",
            present=False,
        )
    if _release(facts.plugin) != _release(facts.torch):
        return Unusable(
            f"torch_npu {facts.plugin} belongs to PyTorch {_dotted(facts.plugin)}, and "
            f"{facts.torch} is installed; run: {_install(facts.torch)}",
            present=True,
        )
    if facts.error:
        return Unusable(_why_not_imported(facts.error), present=True)
    if not facts.cards:
        return Unusable(
            "torch_npu finds no NPU; see whether npu-smi info shows one and whether "
            "ASCEND_RT_VISIBLE_DEVICES hides it.",
            present=True,
        )
    reason = f"npu in float16: {facts.card} found; this device is untested"
    return Device(torch.device("npu:0"), torch.float16, 512, reason)


def _why_not_imported(error: str) -> str:
    if DRIVER_LIBRARY in error:
        return f"torch_npu misses {DRIVER_LIBRARY}.so: install the Ascend driver."
    if any(library in error for library in CANN_LIBRARIES):
        return f"torch_npu finds no CANN libraries; install CANN and run before: {SOURCE}"
    if "Two accelerators" in error:
        return "torch_npu needs the CPU build of PyTorch, and this one has another accelerator."
    first = error.strip().partition("\n")[0].rstrip(".")
    return f"torch_npu can't be imported ({first}); reinstall it, or use cpu."


def _release(version: str) -> tuple[int, ...]:
    """(2, 13, 0) of "2.13.0+cpu", "2.13.0rc1" and "2.13.0.post2": all that has to match."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _install(torch_version: str) -> str:
    return installing.command(f"torch_npu=={_dotted(torch_version)}")


def _dotted(version: str) -> str:
    return ".".join(map(str, _release(version)))
