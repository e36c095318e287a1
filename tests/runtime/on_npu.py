"""The program of test_npu.py: the tiny model on a Python-only NPU, compared with the CPU."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import npu_operators
import python_npu
import tiny
import torch

from model_runtime.device import memory, npu, torch_plugins
from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Work
from model_runtime.engine.engine import Engine
from model_runtime.engine.scheduler import Scheduler
from model_runtime.folders import opening
from model_runtime.wire.protocol import Generate, Result


def complete(device: Device, folder: Path) -> tuple[list[str], str]:
    """The candidates' texts, and the kind of device the logits were on."""
    said: list[object] = []
    scheduler = Scheduler(lambda _job, message: said.append(message))
    model = opening.load(str(folder), device.place, device.dtype)
    engine = Engine(model, device, scheduler, lambda _job, message: said.append(message), Work())
    engine.prove()
    scheduler.submit(1, Generate(1, "def f(x):\n", language="Python", max_new_tokens=12))
    while not said:
        engine.turn()
    result = said[-1]
    assert isinstance(result, Result), result
    where = next(model.network.parameters()).device.type
    return [candidate.text for candidate in result.candidates], where


def leaks() -> str:
    """What a tensor made on the CPU in the middle of a forward pass does."""
    try:
        torch.ones(2, 3, device="npu:0") + torch.ones(2, 3)
    except RuntimeError as error:
        return str(error)
    return ""


def checked(device: Device) -> dict[str, list[object]]:
    """What scripts/npu_check.py finds, on matrices small enough for here."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts/npu_check.py"))
    checks = script["checks"]
    checks.__globals__.update(WIDTH=256, COPIED_BYTES=2**20)
    return {name: [told, right] for name, told, right in checks(device)}


if __name__ == "__main__":
    torch_plugins.keep_plugins_out()
    torch.set_num_threads(1)
    assert npu_operators.SCHEMAS
    module = python_npu.set_up()
    found = npu.judge(npu.Facts("2.13.0", "2.13.0", "", 1, "a stand-in"))
    assert isinstance(found, Device)
    shape = tiny.config(hidden=128)
    folder = tiny.write_folder(Path(sys.argv[1]) / "model", shape)
    on_cpu = Device(torch.device("cpu"), found.dtype, found.prefill_chunk, "the same in float16")
    here, place = complete(found, folder)
    print(
        json.dumps(
            {
                "npu": here,
                "place": place,
                "cpu": complete(on_cpu, folder)[0],
                "waits": module.waits,
                "free": memory.free_bytes(found.place),
                "leak": leaks(),
                "checked": checked(found),
            }
        )
    )
