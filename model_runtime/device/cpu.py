"""The CPU: always there, in float32, with a core left over."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from model_runtime.device.kinds import Device


@dataclass(frozen=True, slots=True)
class Facts:
    """The cores this process may use, and torch's threads."""

    cores: int
    threads: int


def ask() -> Facts:
    return Facts(_usable_cores(), torch.get_num_threads())


def judge(facts: Facts, why: str) -> Device:
    """Sets torch's threads too."""
    # The editor and the language server need a core while the model computes, and torch's threads
    # wait for each other: with both cores of a busy machine a decode step took 118 ms, with one 4.
    threads = min(facts.threads, max(1, facts.cores - 1))
    torch.set_num_threads(threads)
    reason = f"cpu in float32: {why}; {threads} of {facts.cores} cores"
    return Device(torch.device("cpu"), torch.float32, 128, reason)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
