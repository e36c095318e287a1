"""One run of the bench, network after network.

The memory, the network in float, INT8 and INT4 by torch, a small one by onnxruntime as it is
served, and two peers beside it: transformers with a GPT-2 of the same size, and INT8 that is
dequantized before every product.
"""

from __future__ import annotations

import datetime
import gc
import os
import platform
from collections.abc import Iterator

import torch

from model_runtime.bench import transformers_peer
from model_runtime.bench.cancelling import cancel
from model_runtime.bench.random_model import dequantized_each_time, random_network
from model_runtime.bench.speed import Machine, Speed, copy_speed, measure_network
from model_runtime.device.kinds import Device
from model_runtime.networks import onnx_trial
from model_runtime.networks.codegeex import CodeGeeXConfig
from model_runtime.networks.kept import Precision
from model_runtime.networks.onnx_codegeex import OnnxCodeGeeX


@torch.inference_mode()
def machine(model: str, config: CodeGeeXConfig, device: Device) -> Machine:
    """Where and what is measured, and what copying memory moves here."""
    cuda = device.place.type == "cuda"
    name = torch.cuda.get_device_name() if cuda else f"{platform.machine()}, {os.cpu_count()} cores"
    return Machine(
        date=datetime.date.today().isoformat(),
        name=name,
        device=device.reason,
        torch=torch.__version__,
        model=model,
        blocks=config.num_layers + 1,
        hidden=config.hidden_size,
        copied_per_s=copy_speed(device),
    )


@torch.inference_mode()
def measure(config: CodeGeeXConfig, device: Device) -> Iterator[Speed]:
    """One network at a time in memory: float, INT8, INT4, what serves small ones, the peers."""
    for precision in Precision:
        network = random_network(config, precision, device)
        name = str(precision)
        if precision is Precision.FLOAT16:
            name = str(device.dtype).removeprefix("torch.")
        speed = measure_network(name, network, device)
        if precision is Precision.INT8:
            speed.cancel = cancel(network, device)
        yield speed
        del network
        _free(device)
    if device.place.type == "cpu" and onnx_trial.serves(config):
        _, matrices, vectors = onnx_trial.random_int8_network(config)
        yield measure_network(
            "int8 by onnxruntime", OnnxCodeGeeX(config, matrices, vectors), device
        )
    network = random_network(config, Precision.INT8, device)
    dequantized_each_time(network, device)
    yield measure_network("int8, dequantized each time", network, device, peer=True)
    del network
    _free(device)
    yield transformers_peer.measure(config, device)
    _free(device)


def _free(device: Device) -> None:
    gc.collect()
    if device.place.type == "cuda":
        torch.cuda.empty_cache()
