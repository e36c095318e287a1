"""Samples a model on HumanEval-X through the runtime, into a samples file that can grow.

Generation sees the problem's prompt behind the language's tag line; translation sees the source's
declaration and solution and the target's declaration. A model that is tuned to conversations is
asked in words, and the code is taken out of its answer. Executes nothing.
"""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from model_runtime.evaluation import answers, forwarding, samples
from model_runtime.evaluation.cleanup import clean, finished
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.problems import Problem
from model_runtime.evaluation.runtime_link import RuntimeLink, linked
from model_runtime.evaluation.samples import Way
from model_runtime.wire.protocol import Generate, Task

SEED_BITS = 31


@dataclass(frozen=True, slots=True)
class Settings:
    """How texts are drawn. They stand in every line of the samples file."""

    model: str
    temperature: float
    top_p: float
    seed: int
    max_tokens: int
    way: Way = Way.AUTO
    top_k: int = 0
    beams: int = 0

    def of(self, link: RuntimeLink) -> Settings:
        """With the way that this model is asked. Raises EvaluationError where it can't be."""
        if self.way is Way.AUTO:
            way = Way.CONVERSATION if link.converses else Way.COMPLETION
            return replace(self, way=way)
        if self.way is Way.CONVERSATION and not link.converses:
            raise EvaluationError(
                "This model isn't tuned to conversations; leave --ask out, or ask by completion."
            )
        return self

    def known(self) -> dict[str, object]:
        """What is known of them before the model is asked."""
        return {name: one for name, one in self.fields().items() if one != Way.AUTO}

    def fields(self) -> dict[str, object]:
        """As a line of the samples file has them."""
        return {**asdict(self), "way": str(self.way)}


def settings_of(options: Namespace) -> Settings:
    """Raises EvaluationError for more samples than beams, which would be the same ones again."""
    if 1 < options.beams < options.number:
        raise EvaluationError(f"{options.beams} beams give as many samples; ask for fewer by -n.")
    return Settings(
        options.model,
        options.temperature,
        options.top_p,
        options.seed,
        options.max_tokens,
        Way(options.ask),
        options.top_k,
        options.beams,
    )


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model continues for one problem; `question` asks for the same in words. `source` is
    the key of the language translated from."""

    problem: Problem
    text: str
    language: str
    question: Generate
    source: str = ""


def generation_prompt(problem: Problem) -> Prompt:
    """The runtime puts the tag line before it."""
    name = problem.language.display
    words = (
        f"Complete this {name} function. Answer with the whole function in one code block.\n\n"
        f"```{name.lower()}\n{problem.prompt.rstrip()}\n```"
    )
    question = Generate(0, words, task=Task.TEMPLATE, language=name)
    return Prompt(problem, problem.prompt, name, question)


def translation_prompt(source: Problem, target: Problem) -> Prompt:
    """The published text without a tag line. The two are the same problem in two languages."""
    text = (
        f"code translation\n{source.language.display}:\n{source.declaration}\n"
        f"{source.solution.rstrip()}\n{target.language.display}:\n{target.declaration}"
    )
    question = Generate(
        0,
        "",
        task=Task.TRANSLATE,
        code=f"{source.declaration}\n{source.solution.rstrip()}",
        instruction=target.declaration,
        language=source.language.display,
        target_language=target.language.display,
    )
    return Prompt(target, text, "", question, source.language.key)


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
    earlier = samples.reopen(path, {**settings.known(), "source": prompts[0].source})
    have = Counter(one.task_id for one in earlier)
    drawn(sum(min(have[prompt.problem.task_id], count) for prompt in prompts))
    if all(have[prompt.problem.task_id] >= count for prompt in prompts):
        return
    async with linked(settings.model, device) as link:
        settings = settings.of(link)
        samples.require(path, earlier, {"way": str(settings.way)})
        at_once = count
        for prompt in prompts:
            first = have[prompt.problem.task_id]
            while first < count:
                wanted = min(at_once, count - first)
                drawing = _talk if settings.way is Way.CONVERSATION else _continue
                found = await drawing(link, prompt, settings, first, wanted)
                if len(found) < wanted:  # the runtime has no room for more at once
                    at_once = len(found)
                samples.append(path, _lines(prompt, settings, first, found))
                first += len(found)
                drawn(len(found))


async def _continue(
    link: RuntimeLink, prompt: Prompt, settings: Settings, first: int, count: int
) -> list[dict[str, str]]:
    key = prompt.problem.language.key
    text = Generate(0, prompt.text, language=prompt.language)
    request = _drawn(text, prompt, settings, first, count)
    draw = await link.draw(request, lambda text: finished(key, text))
    return [{"generation": clean(key, text)} for text in draw.texts]


async def _talk(
    link: RuntimeLink, prompt: Prompt, settings: Settings, first: int, count: int
) -> list[dict[str, str]]:
    """The samples keep what was said, too."""
    problem, name = prompt.problem, forwarding.name(prompt.problem)
    request = _drawn(prompt.question, prompt, settings, first, count)
    draw = await link.draw(request, lambda text: answers.said(text, name))
    return [
        {"generation": forwarding.body(problem, answers.code(text, name)), "answer": text}
        for text in draw.texts
    ]


def _drawn(
    request: Generate, prompt: Prompt, settings: Settings, first: int, count: int
) -> Generate:
    return replace(
        request,
        independent=True,
        max_new_tokens=settings.max_tokens,
        candidates=count,
        best_first=False,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        beams=settings.beams,
        seed=_seed(prompt, settings, first),
    )


def _seed(prompt: Prompt, settings: Settings, first: int) -> int:
    """Its own for each request, and the same again in a run that goes on after a break."""
    text = f"{settings.seed} {prompt.source} {prompt.problem.task_id} {first}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - SEED_BITS)


def _lines(
    prompt: Prompt, settings: Settings, first: int, found: Sequence[dict[str, str]]
) -> list[dict[str, object]]:
    common: dict[str, object] = {"task_id": prompt.problem.task_id}
    if prompt.source:
        common["source"] = prompt.source
    return [
        {**common, "sample": first + number, **texts, **settings.fields()}
        for number, texts in enumerate(found)
    ]
