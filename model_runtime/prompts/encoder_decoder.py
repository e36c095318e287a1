"""CodeT5 and CodeT5+: an encoder reads the prompt, a decoder writes the answer.

codet5-base-multi-sum was tuned to the bare code; models tuned to several tasks are told the task in
words before it, as in the figure of the paper (Wang et al. 2021, arXiv:2109.00859, figure 1). The
pretrained ones fill the gap that a sentinel marks.
"""

from __future__ import annotations

from collections.abc import Container

from model_runtime.prompts.family import Family, Format, Prompt
from model_runtime.prompts.pieces import Control, Head, Tail, Text
from model_runtime.wire.protocol import Generate, Task

GAP, END_OF_GAP = "<extra_id_0>", "<extra_id_1>"
# What CodeT5's decoder begins with, and what it may write without meaning it.
SILENT = ("<pad>", "<s>", GAP)


def summarise(request: Generate) -> Prompt:
    return Prompt((Text(request.code),))


def summarise_by_name(request: Generate) -> Prompt:
    return _task(f"Summarize {request.language}", request)


def translate(request: Generate) -> Prompt:
    return _task(f"Translate {request.language} to {request.target_language}", request)


def complete(request: Generate) -> Prompt:
    """The answer is `GAP`, the text at the cursor, and END_OF_GAP or the end."""
    return Prompt((Tail(request.prefix), Control(GAP), Head(request.suffix)))


def fitting(controls: Container[str]) -> Family:
    """The family of a model that nobody knows: its tasks by name, and gaps where it has them."""
    if GAP not in controls or END_OF_GAP not in controls:
        return Family(TASKS, silent=SILENT)
    return Family({**TASKS, Task.COMPLETE: complete}, (GAP, END_OF_GAP), SILENT)


def _task(words: str, request: Generate) -> Prompt:
    return Prompt((Text(f"{words}: {request.code}"),))


def _summaries(format: Format) -> dict[Task, Format]:
    """One sentence is what they can say of code, whatever it is called."""
    return dict.fromkeys((Task.SUMMARISE, Task.DOCSTRING, Task.EXPLAIN), format)


TASKS = {**_summaries(summarise_by_name), Task.TRANSLATE: translate}
SUMMARISER = Family(_summaries(summarise), silent=SILENT)
SPAN = Family({Task.COMPLETE: complete}, (GAP, END_OF_GAP), SILENT)
