"""How soon a cancelled request gives the engine back: measured with the real engine."""

from __future__ import annotations

import threading

from model_runtime.bench.random_model import in_floats
from model_runtime.bench.speed import Cancel
from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Work
from model_runtime.engine.engine import Engine
from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.folders.loaded import LoadedModel
from model_runtime.networks.codegeex import CodeGeeX
from model_runtime.options import EMBEDDED_FOLDER
from model_runtime.prompts.rendering import PromptFormat
from model_runtime.text.tokenizer import Tokenizer
from model_runtime.wire.protocol import Chunk, Generate, Reply

REQUESTS = 5
CLIENT = 1
PROMPT = "def f(x):\n    return x\n" * 10
ANSWER_WITHIN_S = 120.0


def cancel(network: CodeGeeX, device: Device) -> Cancel | None:
    """The worst of a few requests, each cancelled in the middle of its text.

    None for a network whose table of words is smaller than the tokenizer that is at hand.
    """
    tokenizer = Tokenizer.from_json(EMBEDDED_FOLDER / "tokenizer.json")
    if network.config.vocab_size < tokenizer.vocab_size:
        return None
    model = LoadedModel(
        name="random",
        network=network,
        tokenizer=tokenizer,
        format=PromptFormat.NANO_FIM,
        config=network.config,
        kv=in_floats(network.config, device).kv,
    )
    growing, answered = threading.Event(), threading.Event()

    def emit(job: Job, reply: Reply) -> None:
        (growing if isinstance(reply, Chunk) else answered).set()

    work = Work()
    scheduler = Scheduler(emit)
    engine = Engine(model, device, scheduler, emit, work)
    thread = threading.Thread(target=engine.run)
    thread.start()
    for number in range(REQUESTS):
        growing.clear()
        answered.clear()
        scheduler.submit(
            CLIENT, Generate(number, PROMPT, stream=True, max_new_tokens=64, temperature=1.0)
        )
        growing.wait(ANSWER_WITHIN_S)
        scheduler.cancel(CLIENT, number)
        answered.wait(ANSWER_WITHIN_S)
    scheduler.close()
    thread.join()
    return Cancel(work.steps_after_cancel, work.slowest_cancel_ms) if work.cancelled else None
