"""Models tuned on conversations: a system message, a task in words, and the answer as their turn.

What a task asks for is the same for all of them; a family adds the marks around the turns and how
it fills in at a cursor. Sources: the chat and infilling formats published with CodeGeeX4-ALL-9B and
with Qwen2.5-Coder (ChatML).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from model_runtime.prompts import fim
from model_runtime.prompts.family import Family, Format, Prompt
from model_runtime.prompts.pieces import Control, Piece, Tail, Text
from model_runtime.prompts.quoting import quoted
from model_runtime.wire.protocol import Generate, Task

SYSTEM = "You are a programming assistant. You answer with code that is complete and correct."
ONLY_CODE = "Output only the code."

Turns = Callable[[tuple[Piece, ...]], tuple[Piece, ...]]


# --- what is asked, in words --------------------------------------------------------------------


def generate(request: Generate) -> tuple[Piece, ...]:
    """The code above stays a Tail: it may be long."""
    wanted = request.instruction or "what its last comment asks for"
    end = (
        f"\n\nContinue this {request.language} code: write {wanted}. "
        "Output only the new code, without what is there already."
    )
    return Tail(request.prefix, quoted(request.snippets, request.language)), Text(end)


def translate(request: Generate) -> tuple[Piece, ...]:
    wanted = f"Translate this {request.language} code to {request.target_language}. {ONLY_CODE}"
    if request.instruction:
        wanted += f" Begin with:\n{request.instruction}"
    return (Text(f"{request.code}\n\n{wanted}"),)


def explain(request: Generate) -> tuple[Piece, ...]:
    wanted = (
        f"Explain this {request.language} code: output it unchanged, "
        "with a comment above each statement that says what the statement does."
    )
    return (Text(f"{request.code}\n\n{wanted}"),)


def docstring(request: Generate) -> tuple[Piece, ...]:
    wanted = (
        f"Describe what this {request.language} code does, its parameters and its result, as its "
        "documentation comment should. Output only the text of the comment."
    )
    return (Text(f"{request.code}\n\n{wanted}"),)


def summarise(request: Generate) -> tuple[Piece, ...]:
    wanted = f"Say in one sentence what this {request.language} code does. Output only it."
    return (Text(f"{request.code}\n\n{wanted}"),)


def template(request: Generate) -> tuple[Piece, ...]:
    return (Text(request.prefix),)


TASKS = {
    Task.GENERATE: generate,
    Task.TRANSLATE: translate,
    Task.EXPLAIN: explain,
    Task.DOCSTRING: docstring,
    Task.SUMMARISE: summarise,
    Task.TEMPLATE: template,
}


def family(
    turns: Turns, complete: Format, controls: tuple[str, ...], *, whole: bool = False
) -> Family:
    """`turns` puts the marks around the user's words, behind SYSTEM.

    A tokenizer's own template writes `whole` conversations: as it begins, so they begin.
    """

    def asked(words: Callable[[Generate], tuple[Piece, ...]], request: Generate) -> Prompt:
        return Prompt(turns(words(request)), whole=whole)

    tasks = {task: partial(asked, words) for task, words in TASKS.items()}
    return Family({Task.COMPLETE: complete, **tasks}, controls, converses=True)


# --- CodeGeeX4 ----------------------------------------------------------------------------------


def _codegeex4_turns(asked: tuple[Piece, ...]) -> tuple[Piece, ...]:
    return (
        Control("<|system|>"),
        Text(f"\n{SYSTEM}"),
        Control("<|user|>"),
        Text("\n"),
        *asked,
        Control("<|assistant|>"),
        Text("\n"),
    )


CODEGEEX4 = family(
    _codegeex4_turns,
    partial(fim.complete, fim.CODEGEEX4),
    (
        "<|system|>",
        "<|user|>",
        "<|assistant|>",
        "<|observation|>",
        "<|code_prefix|>",
        "<|code_suffix|>",
        "<|code_middle|>",
    ),
)


# --- ChatML -------------------------------------------------------------------------------------


def _chatml_turns(asked: tuple[Piece, ...]) -> tuple[Piece, ...]:
    begin, end = Control("<|im_start|>"), Control("<|im_end|>")
    return (
        begin,
        Text(f"system\n{SYSTEM}"),
        end,
        Text("\n"),
        begin,
        Text("user\n"),
        *asked,
        end,
        Text("\n"),
        begin,
        Text("assistant\n"),
    )


CHATML = family(
    _chatml_turns,
    partial(fim.complete, "qwen-coder"),
    ("<|im_start|>", "<|im_end|>", *fim.controls("qwen-coder")),
)
