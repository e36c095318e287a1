"""NVIDIA GPUs: whether PyTorch, the driver and the card fit together.

torch says so in paragraphs, warnings and at the first kernel; judge() makes one sentence of it that
names what to update.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import torch

from model_runtime.device.kinds import Device, Unusable

Capability = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """What torch tells of CUDA.

    `built_for` is the CUDA version of the torch build, empty for one without CUDA. `error` is what
    torch said when it didn't start, and then nothing behind it is known. `architectures` are those
    of torch's kernels, as in "sm_80" (this card and later minor versions) and "compute_90" (this
    card and all later ones).
    """

    built_for: str = ""
    error: str = ""
    card: str = ""
    capability: Capability = (0, 0)
    architectures: tuple[str, ...] = ()


def ask() -> Facts:
    """Starts CUDA when there is any."""
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return Facts()
    built_for = torch.version.cuda or "ROCm"
    try:
        with warnings.catch_warnings():
            # An unfit card is warned of in ten lines; judge() finds it by itself.
            warnings.simplefilter("ignore")
            torch.cuda.init()  # type: ignore[no-untyped-call]
        return Facts(
            built_for,
            card=torch.cuda.get_device_name(0),
            capability=torch.cuda.get_device_capability(0),
            architectures=tuple(torch.cuda.get_arch_list()),
        )
    except (RuntimeError, AssertionError) as error:
        return Facts(built_for, error=str(error))


def judge(facts: Facts) -> Device | Unusable:
    """float16, as the weights are published: bfloat16 would round them, on any card."""
    if not facts.built_for:
        return Unusable(
            "The device cuda was asked for, but this PyTorch is built without it; "
            "use cpu, or install a PyTorch built for CUDA.",
            present=False,
        )
    if facts.error:
        return _not_started(facts)
    if unfit := _unfit(facts):
        return Unusable(unfit, present=True)
    return Device(torch.device("cuda"), torch.float16, 512, f"cuda in float16: {facts.card} found")


def _not_started(facts: Facts) -> Unusable:
    error = facts.error
    if "driver on your system is too old" in error:
        found = re.search(r"found version (\d+)", error)
        version = int(found[1]) if found else 0  # CUDA 12.2 is written 12020
        offered = f"CUDA {version // 1000}.{version % 1000 // 10}" if found else "an older CUDA"
        return Unusable(
            f"The NVIDIA driver is too old: it offers {offered} and this PyTorch is built for CUDA "
            f"{facts.built_for}; update the driver, or install a PyTorch built for its CUDA.",
            present=True,
        )
    if "no NVIDIA driver" in error or "CUDA driver is a stub" in error:
        return Unusable(
            "The device cuda was asked for, but no NVIDIA driver is installed; "
            "use cpu, or install the driver.",
            present=False,
        )
    if "No CUDA GPUs are available" in error or "no CUDA-capable device" in error:
        return Unusable(
            "The device cuda was asked for, but the NVIDIA driver shows no GPU; "
            "use cpu, or see whether CUDA_VISIBLE_DEVICES hides it.",
            present=False,
        )
    first = error.strip().partition("\n")[0].rstrip(".")
    return Unusable(
        f"CUDA doesn't start ({first}); see whether nvidia-smi works, or use cpu.", present=True
    )


def _unfit(facts: Facts) -> str:
    """Empty when torch has kernels for the card, or names architectures in another way (ROCm)."""
    kernels = [
        (kind, (int(number[:-1]), int(number[-1])))
        for kind, number in re.findall(r"\b(sm|compute)_(\d+)", " ".join(facts.architectures))
    ]
    card = facts.capability
    if not kernels or any(_runs(kind, capability, card) for kind, capability in kernels):
        return ""
    oldest = min(capability for _, capability in kernels)
    name = f"{facts.card} (compute capability {_dotted(card)})"
    if card < oldest:
        return (
            f"{name} is too old for this PyTorch, which needs {_dotted(oldest)} or newer; "
            "install an older PyTorch that still knows it, or use cpu."
        )
    return f"{name} is unknown to this PyTorch; install one built for a newer CUDA, or use cpu."


def _runs(kind: str, kernel: Capability, card: Capability) -> bool:
    if kind == "compute":
        return kernel <= card
    return kernel[0] == card[0] and kernel[1] <= card[1]


def _dotted(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"
