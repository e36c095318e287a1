"""Samples a model on HumanEval-X through the runtime, into a samples file that can grow.

Generation sees the problem's prompt behind the language's tag line; translation sees the source's
declaration and solution and the target's declaration. Executes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_runtime.evaluation import samples
from model_runtime.evaluation.cleanup import clean, finished
from model_runtime.evaluation.problems import Problem
from model_runtime.evaluation.runtime_link import RuntimeLink, linked
from model_runtime.wire.protocol import Generate

SEED_BITS = 31


@dataclass(frozen=True, slots=True)
class Settings:
    """How texts are drawn. They stand in every line of the samples file."""

    model: str
    temperature: float
    top_p: float
    seed: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model continues for one problem; `source` is the language translated from."""

    problem: Problem
    text: str
    language: str
    source: str = ""


def generation_prompt(problem: Problem) -> Prompt:
    """The runtime puts the tag line before it."""
    return Prompt(problem, problem.prompt, problem.language.display)


def translation_prompt(source: Problem, target: Problem) -> Prompt:
    """The published text without a tag line. The two are the same problem in two languages."""
    text = (
        f"code translation\n{source.language.display}:\n{source.declaration}\n"
        f"{source.solution.rstrip()}\n{target.language.display}:\n{target.declaration}"
    )
    return Prompt(target, text, "", source.language.key)


async def sample(
    prompts: Sequence[Prompt],
    count: int,
    settings: Settings,
    device: str,
    path: Path,
    drawn: Callable[[int], None],
) -> None:
    """Fill the file up to `count` samples a prompt; `drawn` is told how many more there are.

    Raises EvaluationError when the file has samples of other settings, or the runtime fails.
    """
    earlier = samples.reopen(path, {**asdict(settings), "source": prompts[0].source})
    have = Counter(one.task_id for one in earlier)
    drawn(sum(min(have[prompt.problem.task_id], count) for prompt in prompts))
    if all(have[prompt.problem.task_id] >= count for prompt in prompts):
        return
    async with linked(settings.model, device) as link:
        at_once = count
        for prompt in prompts:
            first = have[prompt.problem.task_id]
            while first < count:
                wanted = min(at_once, count - first)
                texts = await _draw(link, prompt, settings, first, wanted)
                if len(texts) < wanted:  # the runtime has no room for more at once
                    at_once = len(texts)
                samples.append(path, _lines(prompt, settings, first, texts))
                first += len(texts)
                drawn(len(texts))


async def _draw(
    link: RuntimeLink, prompt: Prompt, settings: Settings, first: int, count: int
) -> list[str]:
    key = prompt.problem.language.key
    request = Generate(
        id=0,
        prefix=prompt.text,
        independent=True,
        language=prompt.language,
        max_new_tokens=settings.max_tokens,
        candidates=count,
        best_first=False,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=_seed(prompt, settings, first),
    )
    draw = await link.draw(request, lambda text: finished(key, text))
    return [clean(key, text) for text in draw.texts]


def _seed(prompt: Prompt, settings: Settings, first: int) -> int:
    """Its own for each request, and the same again in a run that goes on after a break."""
    text = f"{settings.seed} {prompt.source} {prompt.problem.task_id} {first}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - SEED_BITS)


def _lines(
    prompt: Prompt, settings: Settings, first: int, texts: Sequence[str]
) -> list[dict[str, object]]:
    common: dict[str, object] = {"task_id": prompt.problem.task_id}
    if prompt.source:
        common["source"] = prompt.source
    return [
        {**common, "sample": first + number, "generation": text, **asdict(settings)}
        for number, text in enumerate(texts)
    ]
