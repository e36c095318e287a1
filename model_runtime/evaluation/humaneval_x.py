"""`codegeex-eval humaneval-x`: the way from options to a scored result.

Samples come from a file, from a model, or from the problems themselves (canonical and wrong
bodies, which show that the evaluation itself is right).
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_runtime.evaluation import samples, scoring
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.execution import Attempt, Execution
from model_runtime.evaluation.languages import LANGUAGES, Language, find
from model_runtime.evaluation.problems import Problem
from model_runtime.evaluation.programs import Rules
from model_runtime.evaluation.progress import progress
from model_runtime.evaluation.sampling import (
    Prompt,
    generation_prompt,
    sample,
    settings_of,
    translation_prompt,
)

Result = dict[str, Any]
# Few failures are worth their names.
NAMED_FAILURES = 5


def run(options: Namespace) -> list[Result]:
    """A result, or with all sources one for each. Raises EvaluationError."""
    if options.source != "all":
        return [_run(options)]
    if options.score:
        raise EvaluationError("A samples file is translated from one language; name that one.")
    results = []
    for source in LANGUAGES:
        changed = {"source": source, "samples": _samples_path(options, source)}
        results.append(_run(Namespace(**{**vars(options), **changed})))
    return results


def _run(options: Namespace) -> Result:
    """One result, as the report wants it."""
    rules = Rules(options.reference_rules)
    execution = Execution(
        options.workers, rules, options.unsafe, options.seconds, options.build_seconds
    )
    tasks, origin = _tasks(options, rules)
    if options.source:
        tasks = [Attempt(scoring.translated(task.problem), task.body) for task in tasks]
    with progress("running", len(tasks), "program") as finished:
        scored = scoring.score(tasks, execution, finished)
    task = "translation" if options.source else "generation"
    return {"benchmark": "humaneval-x", "task": task, "source": options.source, **origin, **scored}


def _tasks(options: Namespace, rules: Rules) -> tuple[list[Attempt], Result]:
    """What to execute, and what the result says about where it comes from."""
    if options.score:
        return _from_file(options, options.score, rules, options.score.name)
    chosen = _languages(options.languages, options.source)
    overlay = not options.no_overlay
    if options.canonical or options.wrong_bodies:
        name = "canonical solutions" if options.canonical else "wrong bodies"
        problems = _problems(options, chosen, rules, overlay)
        bodies = [
            one.solution if options.canonical else scoring.WRONG_BODIES[one.language.key]
            for one in problems
        ]
        tasks = [Attempt(one, body) for one, body in zip(problems, bodies, strict=True)]
        return tasks, {
            "model": name,
            "settings": {
                "solutions": "corrected" if overlay and not rules.reference else "as published"
            },
        }
    path = _sample(options, chosen, rules)
    return _from_file(options, path, rules, options.model)


def _from_file(
    options: Namespace, path: Path, rules: Rules, name: str
) -> tuple[list[Attempt], Result]:
    found = samples.read(path)
    chosen = scoring.languages_of(found, path)
    if options.source and find(options.source) in chosen:
        raise EvaluationError(f"{path} has samples in the language translated from.")
    known = {one.task_id: one for one in _problems(options, chosen, rules, True, whole=True)}
    first = found[0].settings
    settings = {"samples": path.name, **{name: first[name] for name in DRAWN if name in first}}
    return scoring.match(found, known, path), {"model": name, "settings": settings}


DRAWN = ("temperature", "top_p", "seed", "max_tokens", "way", "top_k", "beams")


def _sample(options: Namespace, chosen: Sequence[Language], rules: Rules) -> Path:
    """Sample the model into the file, where it isn't there yet."""
    settings = settings_of(options)
    prompts = _prompts(options, chosen, rules)
    path: Path = options.samples or _samples_path(options, options.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    with progress("sampling", len(prompts) * options.number, "sample") as drawn:
        asyncio.run(sample(prompts, options.number, settings, options.device, path, drawn))
    return path


def _samples_path(options: Namespace, source: str) -> Path:
    """Each source language has a file of its own beside the named one."""
    path: Path = options.samples or Path("samples.jsonl")
    return path.with_stem(f"{path.stem}-{source}") if source else path


def _prompts(options: Namespace, chosen: Sequence[Language], rules: Rules) -> list[Prompt]:
    targets = _problems(options, chosen, rules, True)
    if not options.source:
        return [generation_prompt(problem) for problem in targets]
    sources = scoring.problems(_folder(options), find(options.source), rules, overlay=True)
    return [translation_prompt(sources[target.number], target) for target in targets]


def _problems(
    options: Namespace,
    chosen: Sequence[Language],
    rules: Rules,
    overlay: bool,
    *,
    whole: bool = False,
) -> list[Problem]:
    """Of the chosen languages; the first `--problems` of each unless `whole`."""
    count = None if whole else options.problems
    return [
        problem
        for language in chosen
        for problem in scoring.problems(_folder(options), language, rules, overlay=overlay)[:count]
    ]


def _folder(options: Namespace) -> Path:
    folder: Path = options.data
    return folder / "humaneval-x"


def _languages(names: str, source: str) -> list[Language]:
    chosen = [find(name) for name in names.split(",")] if names else list(LANGUAGES.values())
    if source:
        chosen = [language for language in chosen if language is not find(source)]
    return list(dict.fromkeys(chosen))


def lines(result: Result) -> list[str]:
    """The result for people, a line each."""
    said = []
    for key, scores in result["languages"].items():
        estimates = "  ".join(
            f"pass@{k} {100 * value:.2f} %" for k, value in scores["pass_at_k"].items()
        )
        passed = sum(one[1] for one in scores["passed"].values())
        said.append(
            f"{LANGUAGES[key].display:<11} {passed} of {scores['samples']} passed  {estimates}"
        )
        failed = [number for number, (_, passes) in scores["passed"].items() if not passes]
        if len(failed) <= NAMED_FAILURES and scores["problems"] > NAMED_FAILURES:
            said += [f"  no sample of {LANGUAGES[key].prefix}/{number} passed" for number in failed]
    if len(result["languages"]) > 1:
        means = "  ".join(f"pass@{k} {100 * value:.2f} %" for k, value in result["mean"].items())
        said.append(f"{'mean':<11} {means}")
    said += result["notes"]
    if way := result["settings"].get("way"):
        said.append(f"asked by {way}")
    cost = result["cost"]
    said.append(
        f"{cost['programs']} programs took {cost['cpu_seconds']} CPU seconds, "
        f"{cost['wall_seconds']} s of the clock"
    )
    said.append(result["isolation"])
    return said
