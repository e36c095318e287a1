"""Multi-turn synthesis: what the n-th turn of a growing program takes, beside its tokens alone.

A CodeGen of random weights, made and saved by transformers, is asked turn after turn in the real
engine. One peer is the same engine with nothing in its cache and the turn's own tokens as the whole
prompt; the other runs the whole history again, as a server without a prefix cache would. All is
time of the processor, in one thread: other work on the machine doesn't count.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path
from statistics import median

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers

from benchmarks.table import row, title
from model_runtime.device.choice import choose
from model_runtime.device.kinds import Device
from model_runtime.engine.counters import Work
from model_runtime.engine.engine import Engine
from model_runtime.engine.scheduler import Job, Scheduler
from model_runtime.folders import opening
from model_runtime.folders.loaded import LoadedModel
from model_runtime.wire.protocol import Chunk, Failure, Generate, Result, Task

TURNS = 5
OWN = 64
NEW = 32
RUNS = 3
WORDS = 2048
# Four of the twenty layers of CodeGen-350M.
CONFIG = {
    "n_embd": 1024,
    "n_layer": 4,
    "n_head": 16,
    "rotary_dim": 32,
    "n_positions": 2048,
    "n_ctx": 2048,
}


def measure() -> None:
    chosen = choose("cpu")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = opening.load(str(_checkpoint(Path(folder))), chosen.place, chosen.dtype)
    title(
        f"Turns of {OWN} tokens and {NEW} new, four layers of CodeGen-350M, CPU time, "
        f"median of {RUNS}",
        *("cached", "turn", "its tokens alone", "ratio", "whole history"),
    )
    runs = [_program(model, chosen, seed) for seed in range(RUNS)]
    for number, turns in enumerate(zip(*runs, strict=True), 1):
        cached = turns[0][0]
        turn, alone, whole = (median(one[part] for one in turns) for part in (1, 2, 3))
        ratio = median(one[1] / one[2] for one in turns)
        row(
            f"turn {number}",
            str(cached),
            f"{turn:.0f} ms",
            f"{alone:.0f} ms",
            f"{ratio:.2f}",
            f"{whole:.0f} ms",
        )


def _program(
    model: LoadedModel, device: Device, seed: int
) -> list[tuple[int, float, float, float]]:
    """For each turn the cached tokens, and the ms of the turn, of its own tokens, of everything."""
    words, bench = random.Random(seed), _Asking(model, device)
    document, turns = "", []
    for _ in range(TURNS):
        own = "".join(_word(words.randrange(256, WORDS)) for _ in range(OWN))
        turn, taken = bench.ask(document + own)
        _, alone = _Asking(model, device).ask(own)
        _, whole = _Asking(model, device).ask(document + own)
        turns.append((turn.timing.cached_tokens, taken, alone, whole))
        document += own + turn.candidates[0].text
    return turns


class _Asking:
    """An engine with an empty cache."""

    def __init__(self, model: LoadedModel, device: Device) -> None:
        self._replies: list[Chunk | Result | Failure] = []
        self._scheduler = Scheduler(self._hear)
        self._engine = Engine(model, device, self._scheduler, self._hear, Work())
        self._engine.prove()

    def _hear(self, job: Job, reply: Chunk | Result | Failure) -> None:
        self._replies.append(reply)

    def ask(self, prefix: str) -> tuple[Result, float]:
        """The answer, and the milliseconds of the processor."""
        began = time.process_time()
        self._scheduler.submit(
            1, Generate(1, prefix, task=Task.GENERATE, max_new_tokens=NEW, temperature=1.0)
        )
        while self._scheduler.waiting or self._engine.runs.running:
            self._engine.turn()
        taken = (time.process_time() - began) * 1000
        reply = self._replies[-1]
        assert isinstance(reply, Result), reply
        return reply, taken


def _word(number: int) -> str:
    """A token of its own, whatever stands beside it: three letters and a blank before them."""
    letters = []
    for _ in range(3):
        number, letter = divmod(number, 26)
        letters.append(chr(ord("a") + letter))
    return " " + "".join(letters)


def _checkpoint(folder: Path) -> Path:
    """Whole words as tokens, one each; nothing in its text can be split in two ways."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|endoftext|>": 0} | {letter: n for n, letter in enumerate(letters, 1)}
    merges = []
    for number in range(256, WORDS):
        word = "Ġ" + _word(number)[1:]
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                vocabulary[word[:end]] = len(vocabulary)
                merges.append((word[: end - 1], word[end - 1]))
    bpe = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens(["<|endoftext|>"])
    config = transformers.CodeGenConfig(
        **CONFIG, vocab_size=len(vocabulary), bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(config)
    # Only whole words: half a character would not be the same token when it is read again.
    words = torch.tensor([vocabulary["Ġ" + _word(n)[1:]] for n in range(256, WORDS)])
    network.lm_head.bias.data.fill_(-1e4)[words] = 0.0
    network.save_pretrained(folder)
    bpe.save(str(folder / "tokenizer.json"))
    about = {"eos_token": "<|endoftext|>", "add_bos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


if __name__ == "__main__":
    measure()
