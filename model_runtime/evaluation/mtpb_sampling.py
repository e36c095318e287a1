"""Holds the dialogues of MTPB with a model, turn by turn, into a file that can grow.

Each turn's prompt begins with all of the last one, so that the runtime finds it in its KV cache;
the file says how many tokens it found there. A model that is tuned to conversations is asked in
words for what the last comment says, and the program goes on with the code of its answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from model_runtime.evaluation import answers, mtpb, samples
from model_runtime.evaluation.mtpb import Case
from model_runtime.evaluation.runtime_link import Draw, RuntimeLink, linked
from model_runtime.evaluation.samples import Way
from model_runtime.evaluation.sampling import SEED_BITS, Settings
from model_runtime.wire.protocol import Generate, Task

MULTI_TURN, SINGLE_TURN = "multi-turn", "single-turn"


async def sample(
    cases: Sequence[Case],
    count: int,
    variant: str,
    settings: Settings,
    device: str,
    path: Path,
    drawn: Callable[[int], None],
) -> None:
    """Fill the file up to `count` dialogues a case. Raises EvaluationError."""
    earlier = samples.reopen(path, {**settings.known(), "variant": variant})
    have = {(one.task_id, one.settings["sample"]) for one in earlier}
    wanted = [
        (case, index) for case in cases for index in range(count) if (case.name, index) not in have
    ]
    drawn(len(cases) * count - len(wanted))
    if not wanted:
        return
    async with linked(settings.model, device) as link:
        settings = settings.of(link)
        samples.require(path, earlier, {"way": str(settings.way)})
        for case, index in wanted:
            dialogue = await _talk(link, case, index, variant, settings)
            line = {"task_id": case.name, "sample": index, "variant": variant}
            samples.append(path, [{**line, **dialogue, **settings.fields()}])
            drawn(1)


async def _talk(
    link: RuntimeLink, case: Case, index: int, variant: str, settings: Settings
) -> dict[str, object]:
    """One program, and the tokens of all its prompts."""
    history, prompt_tokens, cached_tokens = mtpb.START, 0, 0
    rounds = [case.turns] if variant == SINGLE_TURN else [(turn,) for turn in case.turns]
    for number, turns in enumerate(rounds):
        prompt = mtpb.ask(history, *turns)
        seed = _seed(settings, case, index, number)
        tokens = min(case.max_tokens, settings.max_tokens)
        draw = await _answer(link, prompt, tokens, seed, settings)
        text = draw.texts[0]
        if settings.way is Way.CONVERSATION:
            text = answers.code(text, "").removeprefix(prompt)
        history = mtpb.answer(prompt, text)
        if draw.timing is not None:
            prompt_tokens += draw.timing.prompt_tokens
            cached_tokens += draw.timing.cached_tokens
    return {
        "generation": history,
        "prompt_tokens": prompt_tokens,
        "cached_tokens": cached_tokens,
    }


async def _answer(
    link: RuntimeLink, prompt: str, tokens: int, seed: int, settings: Settings
) -> Draw:
    request = Generate(
        id=0,
        prefix=prompt,
        independent=True,
        max_new_tokens=tokens,
        best_first=False,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        beams=settings.beams,
        seed=seed,
    )
    if settings.way is Way.CONVERSATION:
        request = replace(request, task=Task.GENERATE, language="Python")
        return await link.draw(request, lambda text: answers.said(text, ""))
    request = replace(request, stop=mtpb.STOPS)
    return await link.draw(request, lambda text: mtpb.truncate(text) != text)


def _seed(settings: Settings, case: Case, index: int, turn: int) -> int:
    text = f"{settings.seed} {case.name} {index} {turn}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - SEED_BITS)
