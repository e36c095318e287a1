"""The real runtime over libraries that fail, hold and are watched as the test wants.

    python faulty_runtime.py FOLDER serve ...

Files in FOLDER are the faults. A word of `network` or `sampling` is the name of an exception, which
the next step of the network, or the next choice of a token, raises; the word goes away with it.
When `thread` comes, a thread of nobody's raises.
While `embedding` is there, no batch of an embedding ends; `embeds` comes when one begins. `reads`
gets a line with the thread's name whenever a tokenizer.json is opened.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"

import tokenizers
import torch
from tokenizers import models, pre_tokenizers

from model_runtime.__main__ import main

# Onigurama gives up on it for long texts of "a" with something else behind, and then tokenizers
# panics.
PANICKING = "(a+)+$"


def panic() -> type[BaseException]:
    """What a panic in Rust is in Python: a class without a public name, and no Exception."""
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(PANICKING), "isolated")
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        bpe.encode("a" * 50 + "b")
    except BaseException as error:
        return type(error)
    finally:
        os.dup2(kept, 2)
    raise AssertionError("it didn't panic")


KINDS: dict[str, type[BaseException]] = {
    kind.__name__: kind
    for kind in (ValueError, MemoryError, RecursionError, RuntimeError, SystemExit, panic())
}


def failing(work: Callable[..., Any], fault: Path) -> Callable[..., Any]:
    def work_or_fail(*arguments: Any, **named: Any) -> Any:
        if fault.exists() and (names := fault.read_text(encoding="utf-8").split()):
            fault.write_text(" ".join(names[1:]), encoding="utf-8")
            raise KINDS[names[0]]("password = 'hunter2'")
        return work(*arguments, **named)

    return work_or_fail


def held(work: Callable[..., Any], fault: Path) -> Callable[..., Any]:
    def wait_and_work(*arguments: Any, **named: Any) -> Any:
        (fault.parent / "embeds").touch()
        while fault.exists():
            time.sleep(0.01)
        return work(*arguments, **named)

    return wait_and_work


class Dying:
    def __del__(self) -> None:
        raise ValueError("password = 'hunter2'")


def fail_alone(fault: Path) -> None:
    """In a thread that nobody watches, and where nobody can catch it."""
    while not fault.exists():
        time.sleep(0.01)
    Dying()
    raise ValueError("password = 'hunter2'")


def watch(folder: Path) -> None:
    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith("tokenizer.json"):
            with (folder / "reads").open("a", encoding="utf-8") as file:
                file.write(f"{threading.current_thread().name}\n")

    sys.addaudithook(heard)


if __name__ == "__main__":
    faults = Path(sys.argv.pop(1))
    changed: Any = torch  # in every network's MLP, in every choice, behind every embedding
    changed.sigmoid = failing(torch.sigmoid, faults / "network")
    changed.Tensor.argmax = failing(torch.Tensor.argmax, faults / "sampling")
    changed.nn.functional.normalize = held(torch.nn.functional.normalize, faults / "embedding")
    watch(faults)
    threading.Thread(target=fail_alone, args=(faults / "thread",), daemon=True).start()
    sys.exit(main())
