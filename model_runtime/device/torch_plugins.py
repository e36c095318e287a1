"""What torch and transformers would import by themselves, and no model needs: nothing of that."""

from __future__ import annotations

import os
import sys

# torch's compiler for GPUs, and what transformers counts objects in images and plots losses with:
# 67 and 36 MiB of a process that runs a model on a CPU.
UNUSED = ("triton", "scipy", "sklearn")


def keep_plugins_out() -> None:
    """torch would import every device plugin that is installed: a torch_npu without its CANN
    libraries makes that fail. npu.py imports it when wanted. Called before torch is imported."""
    os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"


def keep_unused_out() -> None:
    """For a model on a CPU: to whoever looks from now on they aren't installed."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
