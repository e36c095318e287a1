"""Which plugins torch imports by itself: none. Called before torch is imported."""

from __future__ import annotations

import os


def keep_plugins_out() -> None:
    """torch would import every device plugin that is installed: a torch_npu without its CANN
    libraries makes that fail. npu.py imports it when wanted."""
    os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
